import { randomUUID } from "node:crypto";
import { connect, StringCodec } from "nats";
import type { Bus, TopicDefinition } from "../lib/bus/bus.ts";
import { openBus } from "../lib/bus/open-bus.ts";
import { type Config, databaseUrl } from "../lib/config.ts";
import { TOPICS } from "../lib/events.ts";
import { natsOptions } from "../lib/nats-options.ts";
import { foldersOf, type MigratedName, migratedNames, migrationStatus } from "../migrations/run.ts";
import { configOfRunning } from "./demo/demo-file.ts";
import { reportFailure } from "./exit.ts";

/** A check answers what it saw, and throws what is wrong. */
interface Check {
  readonly name: string;
  readonly run: () => Promise<string>;
}

const probeTopic: TopicDefinition = { name: "oms.verify", partitions: 1, retentionMs: 3_600_000 };
const probeMsMax = 30_000;

/** npm run verify: proves that databases, bus and NATS are what the services need. One line per check. */
try {
  const config = configOfRunning();
  const bus = openBus(config);
  const results: boolean[] = [];
  for (const check of checksOf(config, bus)) results.push(await runCheck(check));
  await bus.close();
  const failed = results.filter((passed) => !passed).length;
  console.log(
    failed === 0
      ? `verify: all ${results.length} checks passed`
      : `verify: ${failed} of ${results.length} failed`,
  );
  process.exitCode = failed === 0 ? 0 : 1;
} catch (error) {
  process.exitCode = reportFailure("verify", error);
}

function checksOf(config: Config, bus: Bus): Check[] {
  const databases = migratedNames(config).map((name) => ({
    name: `database ${name}`,
    run: () => checkDatabase(config, name),
  }));
  const topics = Object.values(TOPICS).map((topic) => ({
    name: `topic ${topic.name}`,
    run: () => checkTopic(bus, topic),
  }));
  const roundTrip = { name: `${bus.kind} bus round trip`, run: () => checkRoundTrip(bus) };
  const nats =
    config.TRANSPORTER === undefined ? [] : [{ name: "NATS round trip", run: () => checkNats(config) }];
  return [...databases, ...topics, roundTrip, ...nats];
}

async function runCheck({ name, run }: Check): Promise<boolean> {
  const startedAt = performance.now();
  try {
    const seen = await run();
    console.log(`ok    ${name}: ${seen} (${Math.round(performance.now() - startedAt)} ms)`);
    return true;
  } catch (error) {
    console.log(
      `FAIL  ${name}: ${error instanceof AggregateError ? String(error.errors[0]) : String(error)}`,
    );
    return false;
  }
}

async function checkDatabase(config: Config, name: MigratedName): Promise<string> {
  const { applied, pending } = await migrationStatus({
    url: databaseUrl(config, name),
    folders: foldersOf(name),
  });
  if (pending.length > 0) throw new Error(`lacks ${pending.join(", ")}; run npm run migrate`);
  return `${applied.length} migrations, up to date`;
}

async function checkTopic(bus: Bus, declared: TopicDefinition): Promise<string> {
  const [found] = await bus.describeTopics([declared.name]);
  if (found === undefined) throw new Error("does not exist");
  const say = (topic: TopicDefinition) =>
    `${topic.partitions} partitions, kept ${topic.retentionMs / 3_600_000} h`;
  if (say(found) !== say(declared)) throw new Error(`has ${say(found)}, declared are ${say(declared)}`);
  return say(found);
}

/** On a topic of its own, so that no service ever sees the probe. */
async function checkRoundTrip(bus: Bus): Promise<string> {
  await bus.ensureTopics([probeTopic]);
  const id = randomUUID();
  const arrived = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => arrived.reject(new Error(`nothing arrived within ${probeMsMax} ms`)),
    probeMsMax,
  );
  await bus.publish([{ topic: probeTopic.name, key: id, value: JSON.stringify({ probe: id }), headers: {} }]);
  const subscription = await bus.subscribe({
    group: "oms-verify",
    topics: [probeTopic.name],
    batchSizeMax: 1_000,
    handler: async (messages) => {
      if (messages.some((message) => message.key === id)) arrived.resolve();
    },
  });
  try {
    await arrived.promise;
  } finally {
    clearTimeout(timer);
    await subscription.stop();
  }
  return "published and consumed";
}

async function checkNats(config: Config): Promise<string> {
  const connection = await connect({ ...natsOptions(config), timeout: 5_000, maxReconnectAttempts: 0 });
  const codec = StringCodec();
  const subject = `holdfast.verify.${randomUUID()}`;
  try {
    connection.subscribe(subject, { callback: (_error, message) => message.respond(message.data) });
    const reply = await connection.request(subject, codec.encode(subject), { timeout: 5_000 });
    if (codec.decode(reply.data) !== subject) throw new Error("the reply is not what was sent");
    return `request and reply on ${connection.getServer()}`;
  } finally {
    await connection.close();
  }
}
