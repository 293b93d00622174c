/**
 * The crash matrix kills where fault points are. This says that nothing durable and nothing that is sent lies outside one:
 * whoever writes, publishes, calls or asks a provider can only do it through the few places that have points
 * (integration/fault-injection holds those to it).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(__dirname, "..", "..");
const folders = ["engine", "lib", "mixins", "services"];

interface Rule {
  readonly what: string;
  readonly pattern: RegExp;
  /** Where it may stand, and why there. */
  readonly allowed: Readonly<Record<string, string>>;
}

const RULES: readonly Rule[] = [
  {
    what: "a connection to PostgreSQL of its own",
    pattern: /\bnew (pg\.)?(Pool|Client)\(|\.pool\.(query|connect)\(/,
    allowed: {
      "lib/database.ts": "its statements and commits lie between points",
      "lib/connections.middleware.ts": "asks at the start whether anybody answers",
    },
  },
  {
    what: "Sequelize",
    pattern: /\bnew Sequelize\(/,
    allowed: { "mixins/read-model.mixin.ts": "reads, with all writing actions off" },
  },
  {
    what: "a model that writes",
    pattern:
      /\b(adapter|model|Model)\.(create|insert|insertMany|update\w*|destroy|remove\w*|upsert|bulkCreate|save|increment)\(/,
    allowed: {},
  },
  {
    what: "a bus that is not opened by openBus",
    pattern: /\bcreate(Kafka|Postgres)Bus\(/,
    allowed: {
      "lib/bus/open-bus.ts": "puts it between points",
      "lib/bus/kafka-bus.ts": "defines it",
      "lib/bus/postgres-bus.ts": "defines it",
    },
  },
  {
    what: "a call of an action",
    pattern: /\b(broker|ctx|caller|context)\.(call|mcall)\(/,
    allowed: {
      "lib/define.ts": "callAction has points",
      "services/saga/participants.ts": "the engines' calls have points",
    },
  },
  {
    what: "an event of Moleculer",
    pattern: /\.(emit|broadcast|broadcastLocal)\(/,
    allowed: {
      "services/order/announcements.ts": "a hint to gateways, which look for themselves too",
      "lib/fault-injection.middleware.ts": "arms the points",
    },
  },
  {
    what: "a provider that is not opened by openProvider",
    pattern: /\bcreate(Stripe|Simulator)\(/,
    allowed: {
      "services/payment/psp/open-provider.ts": "puts it between points",
      "services/payment/psp/stripe.ts": "defines it",
      "services/payment/psp/simulator.ts": "defines it",
    },
  },
  {
    what: "a request by HTTP",
    pattern: /(?<![.#\w])fetch\(|\bhttps?\.request\(|\bfrom "node:https"/,
    allowed: {
      "services/payment/psp/open-provider.ts": "the simulated provider's own webhook",
      "services/customer/notifications/sender.ts": "lies between points",
      "lib/tracing/span-sender.ts": "spans, which may be lost",
      "services/gateway/api-server.ts": "answers, and asks nobody",
    },
  },
];

const files = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => join(root, folder, file)),
);

function breaches(rule: Rule): string[] {
  return files.flatMap((file) => {
    const path = relative(root, file);
    if (path in rule.allowed) return [];
    const lines = readFileSync(file, "utf8").split("\n");
    return lines.flatMap((line, index) =>
      rule.pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [],
    );
  });
}

test("there are files to look at", () => {
  expect(files.length).toBeGreaterThan(100);
});

test.each(RULES)("$what stands only where there are points, or nothing durable comes of it", (rule) => {
  expect(breaches(rule)).toEqual([]);
});

test.each(RULES.filter(({ allowed }) => Object.keys(allowed).length > 0))(
  "$what: each exception is still one",
  ({ pattern, allowed }) => {
    const unused = Object.keys(allowed).filter(
      (path) => !pattern.test(readFileSync(join(root, path), "utf8")),
    );
    expect(unused).toEqual([]);
  },
);

test("every store writes by the transaction or the database that it is given", () => {
  const stores = files.filter((file) => file.endsWith(".store.ts"));
  const own = stores.filter((file) => /from "(pg|sequelize|kafkajs|nats)"/.test(readFileSync(file, "utf8")));
  expect(own.map((file) => relative(root, file))).toEqual([]);
});
