import type { ReceivedMessage } from "../../lib/bus/bus.ts";
import { NearMessages, offer } from "../../lib/bus/near-messages.ts";
import type { OwnedPartition } from "../../lib/bus/postgres-membership.ts";

const PLACE = "server/near-messages";
const open: NearMessages[] = [];
afterEach(() => {
  for (const near of open.splice(0)) near.close();
});

const partitionAt = (partition: number, position: number): OwnedPartition => {
  const state = { handled: position, committed: position, failures: 0, retryAtMs: 0, lost: false };
  return { topic: "test", partition, position, ...state };
};
const message = (partition: number, offset: number, type?: string): ReceivedMessage => ({
  topic: "test",
  partition,
  offset: String(offset),
  key: "key",
  value: "{}",
  headers: type === undefined ? {} : { "event-type": type },
  timestampMs: 0,
});

function readerOf(partitions: readonly OwnedPartition[], types?: readonly string[]) {
  const owned = new Map(partitions.map((one) => [`test/${one.partition}`, one]));
  const near = new NearMessages(PLACE, owned, types);
  open.push(near);
  return near;
}
const offsetsOf = (messages: readonly ReceivedMessage[] = []) =>
  messages.map(({ partition, offset }) => `${partition}/${offset}`);

describe("messages that were published in the reader's own process", () => {
  test("are there from exactly where it stands, and move it on", () => {
    const [one, other] = [partitionAt(0, 5), partitionAt(1, 0)];
    const near = readerOf([one, other]);
    offer(PLACE, [message(0, 5), message(1, 0), message(0, 6)]);
    offer("elsewhere", [message(0, 7)]);
    const batch = near.take([one, other], 100);
    expect(offsetsOf(batch?.messages)).toEqual(["0/5", "0/6", "1/0"]);
    expect([one.position, other.position]).toEqual([7, 1]);
    expect(near.isEmpty()).toBe(true);
    expect(near.take([one, other], 100)).toBeUndefined();
  });

  test("have to be read where a message of somebody else stands before them", () => {
    const [one, other] = [partitionAt(0, 5), partitionAt(1, 0)];
    const near = readerOf([one, other]);
    offer(PLACE, [message(0, 6), message(1, 0)]);
    expect(near.take([one, other], 100)).toBeUndefined();
    expect(near.isEmpty()).toBe(false);
    expect([one.position, other.position]).toEqual([5, 0]);
    // It has read the gap, and one that came with it.
    one.position = 7;
    offer(PLACE, [message(0, 7)]);
    expect(offsetsOf(near.take([one, other], 100)?.messages)).toEqual(["0/7", "1/0"]);
  });

  test("count anew after a gap among themselves", () => {
    const one = partitionAt(0, 5);
    const near = readerOf([one]);
    offer(PLACE, [message(0, 5), message(0, 7)]);
    expect(near.take([one], 100)).toBeUndefined();
    one.position = 7;
    expect(offsetsOf(near.take([one], 100)?.messages)).toEqual(["0/7"]);
  });

  test("come in batches of their size, the rest afterwards", () => {
    const one = partitionAt(0, 0);
    const near = readerOf([one]);
    offer(PLACE, [message(0, 0), message(0, 1), message(0, 2)]);
    expect(near.take([one], 2)).toMatchObject({ isFull: true });
    expect(offsetsOf(near.take([one], 2)?.messages)).toEqual(["0/2"]);
  });

  test("are passed by where their type is none that the reader acts on", () => {
    const one = partitionAt(0, 0);
    const near = readerOf([one], ["WANTED"]);
    offer(PLACE, [message(0, 0, "WANTED"), message(0, 1, "OTHER"), message(0, 2)]);
    expect(offsetsOf(near.take([one], 100)?.messages)).toEqual(["0/0", "0/2"]);
    expect(one.position).toBe(3);
  });

  test("are none of partitions that others own, and not more than it can hold", () => {
    const one = partitionAt(0, 0);
    const near = readerOf([one]);
    offer(PLACE, [message(1, 0)]);
    expect(near.isEmpty()).toBe(true);
    offer(
      PLACE,
      Array.from({ length: 2_001 }, (_, offset) => message(0, offset)),
    );
    expect(near.take([one], 100)).toBeUndefined();
    expect(near.isEmpty()).toBe(true);
  });
});
