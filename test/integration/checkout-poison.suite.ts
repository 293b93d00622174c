import { randomUUID } from "node:crypto";
import { TOPICS } from "../../lib/events.ts";
import { type BusRecord, taken } from "../support/bus-probe.ts";
import { answers, commands, envelope, lineOf } from "../support/forged-messages.ts";
import { ended, order } from "../support/shop.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

const placeIn = ({ topic, partition, offset }: { topic: string; partition: number; offset: number }) =>
  `${topic}/${partition}/${offset}`;

/** How often a message is tried that can be read and not applied. */
export const INBOX_ATTEMPTS = 3;

interface Poison {
  readonly kind: string;
  /** Made anew for each message: the same event twice would be a duplicate. */
  readonly value: () => string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly reason: RegExp;
  readonly attempts: number;
}

const reserve = (data: object) => ({
  data: { orderId: randomUUID(), sagaId: randomUUID(), items: [], ...data },
});

const unreadable: readonly Poison[] = [
  { kind: "text that is not JSON", value: () => "{not json", reason: /not JSON/, attempts: 1 },
  { kind: "nothing at all", value: () => "", reason: /not JSON/, attempts: 1 },
  { kind: "JSON that is no event", value: () => '{"hello":"world"}', reason: /eventId/, attempts: 1 },
  {
    kind: "an event of an unknown type",
    value: () => envelope("NO_SUCH_EVENT", {}),
    reason: /NO_SUCH/,
    attempts: 1,
  },
];
const unfit: readonly Poison[] = [
  {
    kind: "a command that breaks its schema",
    value: () => envelope("RESERVE_STOCK", reserve({})),
    headers: { "event-type": "RESERVE_STOCK", "correlation-id": "poison" },
    reason: /RESERVE_STOCK.*items/,
    attempts: 1,
  },
  {
    kind: "a command whose order id PostgreSQL refuses",
    value: () => envelope("RESERVE_STOCK", reserve({ orderId: "order-1", items: lineOf(randomUUID()) })),
    reason: /uuid/,
    attempts: INBOX_ATTEMPTS,
  },
  {
    kind: "a command whose product id PostgreSQL refuses",
    value: () => envelope("RESERVE_STOCK", reserve({ items: lineOf("product-1") })),
    reason: /uuid/,
    attempts: INBOX_ATTEMPTS,
  },
  {
    kind: "a command whose event id looks like one and is none",
    value: () => envelope("RESERVE_STOCK", reserve({ items: lineOf(randomUUID()) }), "-".repeat(36)),
    reason: /eventId/,
    attempts: 1,
  },
];
const unfitAnswers: readonly Poison[] = [
  {
    kind: "an answer that breaks its schema",
    value: () => envelope("STOCK_RESERVED", { data: { orderId: randomUUID() } }),
    headers: { "event-type": "STOCK_RESERVED" },
    reason: /STOCK_RESERVED/,
    attempts: 1,
  },
  {
    kind: "an answer for a saga whose id PostgreSQL refuses",
    value: () =>
      envelope("STOCK_RESERVED", {
        data: { orderId: randomUUID(), sagaId: "saga-1", items: lineOf(randomUUID()), expiresAt: "soon" },
      }),
    reason: /uuid/,
    attempts: INBOX_ATTEMPTS,
  },
];

/** What happens to messages that are rubbish. */
export function poisonMessages(shared: () => Shared): void {
  test.each([
    { name: "commands", route: commands, kinds: [...unreadable, ...unfit] },
    { name: "answers", route: answers, kinds: [...unreadable, ...unfitAnswers] },
  ])(
    "that nobody can use among the $name becomes a dead letter, and the partition goes on",
    async ({ route: { topic, group }, kinds }) => {
      const { system, probe } = shared();
      const sent: { record: BusRecord; poison: Poison }[] = [];
      // In every partition: whichever an order takes, it has to get past them.
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        for (const poison of kinds) {
          const { headers = {} } = poison;
          const value = poison.value();
          const record = { topic: topic.name, partition, key: `poison-${randomUUID()}`, value, headers };
          sent.push({ poison, record: await probe.publish(record) });
        }
      }
      const { orderId } = await order(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
      await expect(ended(system, orderId, { timeoutMs: 60_000 })).resolves.toMatchObject({
        status: "created",
      });
      for (const { record } of sent) await taken(probe, group, record);
      const letters = await until(
        "each of them is a dead letter",
        async () => {
          // Each group that reads the topic puts aside what nobody can read.
          const found = (await probe.records(TOPICS.deadLetters.name))
            .map(letterOf)
            .filter(({ source }) => source === group);
          const byPlace = new Map(found.map((letter) => [placeIn(letter), letter]));
          const missing = sent.filter(({ record }) => !byPlace.has(placeIn(record)));
          if (missing.length > 0) throw new Error(`no letter: ${missing.map(({ poison }) => poison.kind)}`);
          return byPlace;
        },
        { timeoutMs: 60_000 },
      );
      for (const { record, poison } of sent) {
        const letter = letters.get(placeIn(record));
        expect({ kind: poison.kind, ...letter }).toMatchObject({
          kind: poison.kind,
          source: group,
          key: record.key,
          value: record.value,
          headers: record.headers,
          attempts: poison.attempts,
          error: { type: expect.any(String), message: expect.stringMatching(poison.reason) },
        });
      }
    },
    120_000,
  );

  test("that is nearly as large as the bus takes becomes a dead letter, which says that it was cut", async () => {
    const { system, probe } = shared();
    const { topic, group } = commands;
    // A megabyte of characters of two halves each: the cut goes through the middle of one.
    const value = `x${"\u{1F600}".repeat(250_000)}`;
    const note = "n".repeat(2_000);
    const headers = { "event-type": "RESERVE_STOCK", note };
    const record = await probe.publish({ topic: topic.name, partition: 0, key: "large", value, headers });
    await taken(probe, group, record);
    const letter = await until(
      "it is a dead letter",
      async () =>
        (await probe.records(TOPICS.deadLetters.name))
          .map(letterOf)
          .find((one) => one.source === group && placeIn(one) === placeIn(record)),
      { timeoutMs: 60_000 },
    );
    expect(letter).toMatchObject({
      key: "large",
      value: value.slice(0, 1_024).toWellFormed(),
      headers: { "event-type": "RESERVE_STOCK" },
      truncated: { valueBytes: 1_000_001, headers: 2 },
      attempts: 1,
      error: { type: "EVENT_INVALID" },
    });
    const { orderId } = await order(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
    await expect(ended(system, orderId, { timeoutMs: 60_000 })).resolves.toMatchObject({ status: "created" });
  }, 120_000);
}

function letterOf({ value, headers }: BusRecord) {
  expect(headers["event-type"]).toBe("DEAD_LETTER");
  const { data } = JSON.parse(value);
  return { ...data, offset: Number(data.offset) } as BusRecord & {
    source: string;
    attempts: number;
    error: object;
  };
}
