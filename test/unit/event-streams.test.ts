import type { ServerResponse } from "node:http";
import type { OrderMove } from "../../lib/contracts.ts";
import {
  createEventStreams,
  type Follow,
  type StreamsOptions,
} from "../../services/gateway/event-streams.ts";
import { until } from "../support/until.ts";

/** Many clients, one source: what each is told, and what the source is asked for. */

const at = "2026-01-01T00:00:00.000Z";
const move = (orderId: string, version: number, status: OrderMove["status"] = "created"): OrderMove => ({
  orderId,
  version,
  status,
  at,
});

/** As much of a response as a stream needs. */
class Client {
  text = "";
  ended = false;
  destroyed = false;
  writableLength = 0;
  #onClose: (() => void) | undefined;
  readonly response = {
    writeHead: () => undefined,
    write: (text: string) => {
      this.text += text;
    },
    end: () => {
      this.ended = true;
    },
    destroy: () => {
      this.destroyed = true;
      this.close();
    },
    once: (_event: string, listener: () => void) => {
      this.#onClose = listener;
    },
  } as unknown as ServerResponse;

  constructor() {
    Object.defineProperty(this.response, "writableLength", { get: () => this.writableLength });
  }

  close() {
    this.#onClose?.();
  }

  ids = () => [...this.text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
}

function source(options: Partial<StreamsOptions> = {}) {
  const histories = new Map<string, OrderMove[]>();
  const reads: { orderId: string; after: number }[][] = [];
  const streams = createEventStreams({
    read: async (orders) => {
      reads.push([...orders]);
      return orders.flatMap(({ orderId, after }) =>
        (histories.get(orderId) ?? []).filter(({ version }) => version > after),
      );
    },
    onError: () => undefined,
    streamsMax: 2_000,
    streamsPerSubjectMax: 2_000,
    ...options,
  });
  const open = (orderId: string, more: Partial<Follow> = {}) => {
    const client = new Client();
    streams.open(
      { orderId, subject: "somebody", moves: [], after: 0, drafted: true, ...more },
      client.response,
    );
    return client;
  };
  return { streams, histories, reads, open };
}

test("each is told what it does not know, once, and is done at the order's end", async () => {
  const { streams, histories, open } = source();
  histories.set("a", [move("a", 1, "draft"), move("a", 2)]);
  const fresh = open("a", { moves: [move("a", 1, "draft")] });
  const late = open("a", { after: 2 });
  await until("what came between is told", () => fresh.ids().length === 2);
  histories.get("a")?.push(move("a", 3, "paying"), move("a", 4, "cancelled"));
  streams.moved(["a", "b"]);
  streams.moved(["a"]);
  await until("it has ended", () => fresh.ended && late.ended);
  expect(fresh.ids()).toEqual([1, 2, 3, 4]);
  expect(late.ids()).toEqual([3, 4]);
  expect(streams.count()).toBe(0);
});

test("a thousand that nothing happens to ask for nothing; one that moves is read alone", async () => {
  const { streams, histories, reads, open } = source();
  const clients = Array.from({ length: 1_000 }, (_, index) => open(`order-${index}`));
  await until("each was looked at once", () => reads.flat().length === 1_000);
  // All of them in one go, as they came at once.
  expect(reads).toHaveLength(1);
  streams.moved(["somebody-else's"]);
  histories.set("order-7", [move("order-7", 1)]);
  streams.moved(["order-7"]);
  await until("it is told", () => clients[7]?.ids().length === 1);
  expect(reads.slice(1)).toEqual([[{ orderId: "order-7", after: 0 }]]);
  streams.stop();
  expect(clients.every(({ ended }) => ended)).toBe(true);
});

test("a move that nobody told of is found by the sweep, also after a read that failed", async () => {
  let fails = true;
  const { streams, histories, open } = source({ sweepMs: 20 });
  const broken = source({
    sweepMs: 20,
    read: async () => {
      if (fails) throw new Error("away");
      return [move("a", 1)];
    },
  });
  const [client, other] = [open("a"), broken.open("a")];
  streams.start();
  broken.streams.start();
  histories.set("a", [move("a", 1)]);
  await until("it is told", () => client.ids().length === 1);
  expect(other.ids()).toEqual([]);
  fails = false;
  await until("it is told too", () => other.ids().length === 1);
  streams.stop();
  broken.streams.stop();
});

test("a beat keeps connections alive, ends old streams, and gives those up who do not read", async () => {
  const { streams, open } = source({ heartbeatMs: 20, lifetimeMs: 200 });
  streams.start();
  const [reading, deaf] = [open("a"), open("b")];
  deaf.writableLength = 100_000;
  await until("it beats", () => reading.text.includes("\n:\n\n"));
  await until("the deaf one is given up", () => deaf.destroyed);
  expect(reading.ended).toBe(false);
  await until("its time is over", () => reading.ended);
  expect(streams.count()).toBe(0);
  streams.stop();
});

test("there is room for so many in all, and for so many of one subject; who leaves makes room", () => {
  const { streams, open } = source({ streamsMax: 3, streamsPerSubjectMax: 2 });
  const mine = [open("a"), open("b")];
  expect(() => open("c")).toThrow(expect.objectContaining({ code: 429, type: "TOO_MANY_STREAMS" }));
  open("a", { subject: "another" });
  expect(() => open("a", { subject: "a third" })).toThrow(expect.objectContaining({ type: "OVERLOADED" }));
  mine[0]?.close();
  mine[0]?.close();
  open("c");
  expect(streams.count()).toBe(3);
  streams.stop();
});
