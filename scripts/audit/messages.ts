import { type BusLog, BusUnreadableError, type LoggedMessage } from "./bus-log.ts";
import { problemOf } from "./dead-letters.ts";
import { type BusContents, horizonsOf, indexEvents, type KnownEvent } from "./event-index.ts";
import type { Findings } from "./findings.ts";
import { checkInboxes } from "./inboxes.ts";
import type { AuditOptions } from "./options.ts";
import type { World } from "./world.ts";

/** I7 and I8, and what other people's dead letters lack. */
export async function checkMessages(world: World, findings: Findings, options: AuditOptions): Promise<void> {
  if (world.bus === undefined) return unchecked(findings, world.busProblem ?? "");
  try {
    const contents = await readBus(world, world.bus, findings, options);
    checkPresence(contents, findings);
    checkOrder(contents, findings);
    await checkInboxes(world, contents, findings);
  } catch (error) {
    if (!(error instanceof BusUnreadableError)) throw error;
    unchecked(findings, error.message);
  }
}

function unchecked(findings: Findings, reason: string): void {
  for (const invariant of ["I7", "I8"] as const) findings.unchecked(invariant, reason);
}

async function readBus(
  world: World,
  bus: BusLog,
  findings: Findings,
  options: AuditOptions,
): Promise<BusContents> {
  const horizons = horizonsOf(await bus.topics(), world.snapshots.order.takenAt, options);
  const index = await indexEvents(world, horizons);
  const [foreign, ends] = [new Set<string>(), new Map<string, number>()];
  let count = 0;
  await bus.read((message) => {
    const { topic, partition, offset, eventId } = message;
    count += 1;
    const place = `${topic}/${partition}`;
    if (offset >= (ends.get(place) ?? 0)) ends.set(place, offset + 1);
    const event = index.get(eventId);
    if (event === undefined) {
      foreign.add(eventId);
      checkForeign(message, findings);
      return;
    }
    if (topic !== event.topic || message.key !== event.key) misplaced(event, message, findings);
    // It may stand there several times: what counts is where it first appears.
    if (event.offset >= 0 && event.offset <= offset) return;
    event.partition = partition;
    event.offset = offset;
  });
  findings.looked("I7", "messages on the bus", count);
  return { index, horizons, foreign, ends };
}

function misplaced(event: KnownEvent, message: LoggedMessage, findings: Findings): void {
  const { topic, partition, offset, key } = message;
  const problem = `is at ${topic}/${partition}/${offset} under the key ${key}, and belongs to ${event.topic} under ${event.key}`;
  findings.suspect({ invariant: "I7", rule: "place", subject: `event ${event.id}`, problem });
}

/** First appearances follow each other as the events of an aggregate do: the index has those in their order. */
function checkOrder({ index }: BusContents, findings: Findings): void {
  // By database: an order and its reservation have one id, each with events of its own.
  const latest = new Map<string, Map<string, KnownEvent>>();
  for (const event of index.values()) {
    if (event.offset < 0) continue;
    const { id, database, key, version, topic, partition, offset } = event;
    const known = latest.get(database) ?? new Map<string, KnownEvent>();
    latest.set(database, known);
    const before = known.get(key);
    if (before === undefined || before.partition !== partition || before.offset < offset) {
      known.set(key, event);
      continue;
    }
    const problem = `version ${version} of ${key} first appears at ${topic}/${partition}/${offset}, before version ${before.version} at ${before.offset}`;
    findings.suspect({ invariant: "I7", rule: "order", subject: `event ${id}`, problem });
  }
}

function checkForeign({ letter, topic, partition, offset }: LoggedMessage, findings: Findings): void {
  if (letter === undefined) return;
  findings.looked("I10", "dead letters of others", 1);
  const problem = problemOf(letter);
  const subject = `dead letter at ${topic}/${partition}/${offset}`;
  if (problem !== undefined) findings.suspect({ invariant: "I10", rule: "foreign", subject, problem });
}

function checkPresence({ index }: BusContents, findings: Findings): void {
  for (const { id, type, key, version, topic, expected, offset } of index.values()) {
    if (!expected || offset >= 0) continue;
    const problem = `${type}, version ${version} of ${key}, counts as published and is not on ${topic}`;
    findings.suspect({ invariant: "I7", rule: "presence", subject: `event ${id}`, problem });
  }
}
