import { join } from "node:path";
import type { Config } from "../../lib/config.ts";
import { DEMO_PRODUCTS } from "../../migrations/seeds/demo.ts";
import type { DemoFile } from "./demo-file.ts";
import { headerFile, type Person } from "./tokens.ts";

/** What somebody who has just started Holdfast wants to know, and can paste. */
export function banner(demo: DemoFile, config: Config, dataDir: string, seconds: number): string {
  const rows: [string, string][] = [
    ["API", demo.api],
    ["internal", `${demo.internal}   (/ready /live /metrics)`],
    ...(demo.natsUrl === undefined ? [] : [["NATS", demo.natsUrl] as [string, string]]),
    ...(demo.kafkaBrokers === undefined ? [] : [["Kafka", demo.kafkaBrokers] as [string, string]]),
    ...Object.values(demo.databases).map((url, index): [string, string] => [
      index === 0 ? "databases" : "",
      url,
    ]),
    ["demo file", `${join(dataDir, "demo.json")}   (all of this, for scripts)`],
    ["data", `${dataDir}   (kept; start with --fresh to begin anew)`],
  ];
  return [
    "",
    `Holdfast is ready after ${seconds.toFixed(1)} s. Ctrl+C stops everything.`,
    "",
    ...rows.map(([name, value]) => `  ${name.padEnd(10)} ${value}`),
    "",
    `Tokens, good for a day, issued by ${config.JWT_ISSUER}:`,
    ...Object.entries(demo.tokens).map(([person, token]) => `export ${variable(person)}=${token}`),
    "",
    ...curlLines(demo.api, dataDir),
    "",
  ].join("\n");
}

/** otherCustomer -> OTHER_CUSTOMER_TOKEN */
const variable = (person: string) => `${person.replace(/[A-Z]/g, "_$&").toUpperCase()}_TOKEN`;

/** Each line works pasted as it is, in any folder: the token is read from a file. */
export function curlLines(api: string, dataDir: string): string[] {
  const as = (person: Person) => `-H '@${headerFile(dataDir, person)}'`;
  // Two lines pasted within one second must not share a key.
  const place = (key: string, productId: string, quantity: number) =>
    `curl -sS -w '\\n' ${api}/orders ${as("customer")} -H "Idempotency-Key: ${key}-$(date +%s)" ` +
    `-H 'Prefer: wait=10' -H 'Content-Type: application/json' -d '{"items":[{"productId":"${productId}","quantity":${quantity}}]}'`;
  return [
    "Place an order, and wait for what becomes of it:",
    place("nails", DEMO_PRODUCTS.plenty, 2),
    "Look at it again (the newest one of this customer):",
    `curl -sS -w '\\n' '${api}/orders?limit=1' ${as("customer")}`,
    "See one fail for want of stock:",
    place("anvil", DEMO_PRODUCTS.soldOut, 1),
  ];
}
