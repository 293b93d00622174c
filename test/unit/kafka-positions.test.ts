import type { EachBatchPayload } from "kafkajs";
import { silentLogger } from "../../lib/bus/bus-logger.ts";
import { KafkaPositions } from "../../lib/bus/kafka-positions.ts";
import { until } from "../support/until.ts";

/** Positions reach Kafka gathered, in their own generation, and sooner or later. */

type Stored = Record<string, string>;

function memberOf(answer: () => Promise<void> = async () => undefined) {
  const stored: Stored[] = [];
  let generation = 1;
  let ending = false;
  const commit: EachBatchPayload["commitOffsetsIfNecessary"] = async (offsets) => {
    const topics = (offsets as { topics: { topic: string; partitions: object[] }[] }).topics;
    const rows = topics.flatMap(({ topic, partitions }) =>
      (partitions as { partition: number; offset: string }[]).map(
        ({ partition, offset }) => [`${topic}/${partition}`, offset] as const,
      ),
    );
    await answer();
    stored.push(Object.fromEntries(rows));
  };
  const payloadOf = (topic: string, partition: number) =>
    ({ batch: { topic, partition }, commitOffsetsIfNecessary: commit }) as unknown as EachBatchPayload;
  return {
    source: { isEnding: () => ending, generation: () => generation },
    stored,
    payloadOf,
    join: () => {
      generation += 1;
    },
    end: () => {
      ending = true;
    },
  };
}

const positions = () => new KafkaPositions("group", silentLogger);

test("what is reached within a while is stored at once, the furthest of each partition", async () => {
  const { source, stored, payloadOf } = memberOf();
  const tested = positions();
  tested.note(source, 1, payloadOf("a", 0), 5n);
  tested.note(source, 1, payloadOf("b", 3), 1n);
  tested.note(source, 1, payloadOf("a", 0), 9n);
  tested.note(source, 1, payloadOf("a", 1), 2n);
  expect(stored).toEqual([]);
  await until("they are stored", () => stored.length > 0);
  await tested.store();
  expect(stored).toEqual([{ "a/0": "9", "a/1": "2", "b/3": "1" }]);
});

test("who stops stores what is left, and waits for it", async () => {
  const answer = Promise.withResolvers<void>();
  const { source, stored, payloadOf } = memberOf(() => answer.promise);
  const tested = positions();
  tested.note(source, 1, payloadOf("a", 0), 5n);
  let isStored = false;
  const storing = tested.store().then(() => {
    isStored = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isStored).toBe(false);
  answer.resolve();
  await storing;
  expect(stored).toEqual([{ "a/0": "5" }]);
});

test("a position never overtakes the one before it: the group would be set back", async () => {
  const slow = Promise.withResolvers<void>();
  const answers = [slow.promise];
  const { source, stored, payloadOf } = memberOf(async () => answers.pop());
  const tested = positions();
  tested.note(source, 1, payloadOf("a", 0), 5n);
  const first = tested.store();
  tested.note(source, 1, payloadOf("a", 0), 9n);
  const second = tested.store();
  await new Promise((resolve) => setImmediate(resolve));
  slow.resolve();
  await Promise.all([first, second]);
  expect(stored).toEqual([{ "a/0": "5" }, { "a/0": "9" }]);
});

test("a position of an earlier generation is not stored in a later one's name", async () => {
  const { source, stored, payloadOf, join } = memberOf();
  const tested = positions();
  tested.note(source, 1, payloadOf("a", 0), 5n);
  join();
  tested.note(source, 1, payloadOf("a", 1), 7n);
  tested.note(source, 2, payloadOf("a", 2), 8n);
  await tested.store();
  expect(stored).toEqual([{ "a/2": "8" }]);
  tested.note(source, 2, payloadOf("a", 2), 10n);
  join();
  await tested.store();
  expect(stored).toHaveLength(1);
});

test("what Kafka did not take is stored with the next, unless that is further", async () => {
  let failures = 2;
  const { source, stored, payloadOf } = memberOf(async () => {
    failures -= 1;
    if (failures >= 0) throw new Error("the coordinator is away");
  });
  const tested = positions();
  tested.note(source, 1, payloadOf("a", 0), 5n);
  tested.note(source, 1, payloadOf("a", 1), 6n);
  const failing = tested.store();
  tested.note(source, 1, payloadOf("a", 0), 9n);
  await failing;
  await until("it got through", () => stored.length > 0);
  expect(stored).toEqual([{ "a/0": "9", "a/1": "6" }]);
});

test("a member that is ending tries once, and what fails then is left to the next one", async () => {
  let tries = 0;
  const { source, payloadOf, end } = memberOf(async () => {
    tries += 1;
    throw new Error("rebalancing");
  });
  const tested = positions();
  tested.note(source, 1, payloadOf("a", 0), 5n);
  end();
  await tested.store();
  await tested.store();
  expect(tries).toBe(1);
});
