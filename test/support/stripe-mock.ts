import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../scripts/parts/ports.ts";
import { findOnPath, lastLine, run } from "../../scripts/parts/process.ts";
import { until } from "./until.ts";

/** Stripe's own stripe-mock: checks each request against Stripe's OpenAPI document, and remembers nothing. */

const VERSION = "v0.203.0";
const folder = join(__dirname, "..", "..", ".stack", `stripe-mock-${VERSION}`);
const program = join(folder, "stripe-mock");

export interface StripeMock {
  readonly url: string;
  stop(): void;
}

/** What this machine lacks for it; undefined when it can run. Built once, by Go, into .stack/. */
export async function provisionStripeMock(): Promise<string | undefined> {
  if (existsSync(program)) return undefined;
  const go = findOnPath("go");
  if (go === undefined) return "go (not found on PATH)";
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false" };
  const args = ["install", `github.com/stripe/stripe-mock@${VERSION}`];
  const built = await run(go, args, { timeoutMs: 300_000, env });
  return built.code === 0 ? undefined : `stripe-mock (go: ${lastLine(built.output)})`;
}

export async function startStripeMock(): Promise<StripeMock> {
  const address = `127.0.0.1:${await freePort()}`;
  const unused = `127.0.0.1:${await freePort()}`;
  const child = spawn(program, ["-http-addr", address, "-https-addr", unused], { stdio: "ignore" });
  process.once("exit", () => child.kill("SIGKILL"));
  const url = `http://${address}`;
  await until("stripe-mock answers", async () => {
    if (child.exitCode !== null) throw new Error(`stripe-mock ended with code ${child.exitCode}`);
    return fetch(url).then(
      () => true,
      () => undefined,
    );
  });
  return { url, stop: () => void child.kill("SIGKILL") };
}
