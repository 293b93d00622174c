import fc from "fast-check";
import { defineSaga } from "../../engine/define.ts";
import { Engine } from "../../engine/engine.ts";
import type { CallEffect, Instance, Protocol } from "../../engine/protocol.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import { until } from "../support/until.ts";
import { createNode, deliver, insertSagas, LEASE_MS, newStore, stockReserved } from "./engine.world.ts";
import { createMemoryStore, type Staged } from "./memory-store.ts";

/** The engine under contention, drained, with too small a cache, and with several calls of one instance at once. */

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

test("two engines on one store, in any interleaving, neither lose nor double a step", async () => {
  const ids = ["s1", "s2", "s3"];
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.nat(3)), async (waits) => {
      const store = newStore();
      const pause = async () => {
        for (let ticks = Number(waits.next().value); ticks > 0; ticks -= 1) await tick();
      };
      store.onOperation = pause;
      const call = async () => {
        await pause();
        return { ok: true, result: { items: [] } } as const;
      };
      const nodes = [createNode(store, { call }), createNode(store, { call, cacheSizeMax: 1 })] as const;
      nodes[0].engine.adopt(insertSagas(store, ...ids));
      const ended = () => ids.every((id) => store.row(id).state === "COMPLETED");
      const told = new Set<string>();
      for (let rounds = 0; rounds < 200 && !ended(); rounds += 1) {
        await pause();
        // The lease runs out again and again, although the first node is not dead but slow.
        if (rounds % 3 === 0) store.pass(LEASE_MS);
        await Promise.all(nodes.map(({ engine }) => engine.recover()));
        const asked = store.events.filter(
          ({ type, aggregateId }) => type === "RESERVE_STOCK" && !told.has(aggregateId),
        );
        for (const { aggregateId } of asked) told.add(aggregateId);
        const replies = asked.map(({ aggregateId }) => stockReserved(aggregateId));
        // Each event comes to both nodes, to one of them twice.
        await Promise.all(nodes.map(({ engine }) => deliver(store, engine, replies)));
        await deliver(store, nodes[1].engine, replies);
      }
      await Promise.all(nodes.map(({ engine }) => engine.drain()));
      expect(nodes.flatMap(({ failures }) => failures)).toEqual([]);
      for (const id of ids) {
        const saga = store.row(id);
        expect(saga.progress.steps.map(({ status }) => status)).toEqual(Array(5).fill("SUCCEEDED"));
        expect(saga).toMatchObject({ state: "COMPLETED", version: 4, published: 1 });
      }
      expect(store.events).toHaveLength(ids.length);
      expect(nodes.flatMap((node) => node.ended).sort()).toEqual(ids);
    }),
    { numRuns: 60 },
  );
});

test("several events to one saga in one batch become one change, and what each of them leads to is done", async () => {
  interface Actions {
    "box.send": { params: object; result: object };
  }
  type Events = Record<"PACK" | "PACKED" | "LABEL" | "LABELLED", object>;
  const parcel = defineSaga<Actions, Events>()<object>("PARCEL")
    .request("pack", {
      publish: "PACK",
      data: () => ({}),
      success: "PACKED",
      timeoutMs: 1_000,
      noCompensation: "-",
    })
    .pivot("send", "box.send", { params: () => ({}) })
    .request("label", { publish: "LABEL", data: () => ({}), success: "LABELLED", timeoutMs: 1_000 })
    .build();
  const protocol = createSagaProtocol([parcel], LEASE_MS);
  const store = newStore();
  const calls: CallEffect[] = [];
  const engine = new Engine<SagaInstance, Staged<SagaInstance>>(
    protocol,
    {
      store,
      call: async (_saga, effect) => {
        calls.push(effect);
        return { ok: true, result: {} };
      },
      now: () => new Date(0),
      observer: {},
    },
    { leaseMs: LEASE_MS, batchSizeMax: 10 },
  );
  const saga = { id: "p", type: "PARCEL", input: {}, businessKey: "p", ownerId: "o", correlationId: "c" };
  store.insert(protocol.start(saga, new Date(0)).instance);
  const event = (type: string) => ({
    id: "p",
    input: { kind: "event" as const, eventId: type, type, data: {} },
  });
  // The first leads to a call, the second is early and kept: the call must not wait for the lease.
  await deliver(store, engine, [event("PACKED"), event("LABELLED")]);
  expect(store.counts.saves).toBe(1);
  expect(calls.map(({ action }) => action)).toEqual(["box.send"]);
  await until("its end", () => store.row("p").state === "COMPLETED");
});

/** Three calls at once, as a TCC transaction makes them; done when all have answered. */
interface Tally extends Instance {
  readonly state: "OPEN" | "DONE";
  readonly answered: readonly string[];
}
const PARTS = ["a", "b", "c"];
const callOf = (token: string): CallEffect => ({
  kind: "call",
  token,
  action: token,
  params: {},
  timeoutMs: 100,
});
const tallies: Protocol<Tally> = {
  advance(tally, input) {
    const owed = tallies.owed(tally);
    if (input.kind === "timer")
      return { instance: tally, effects: owed, changed: owed.length > 0, durable: false };
    if (input.kind !== "reply" || tally.answered.includes(input.token)) {
      return { instance: tally, effects: [], changed: false, durable: false };
    }
    const answered = [...tally.answered, input.token];
    if (answered.length < PARTS.length)
      return { instance: { ...tally, answered }, effects: [], changed: true, durable: true };
    const done: Tally = { ...tally, answered, state: "DONE", wakeInMs: null, published: 1 };
    return {
      instance: done,
      effects: [{ kind: "publish", type: "DONE", data: {} }],
      changed: true,
      durable: true,
    };
  },
  owed: ({ answered }) => PARTS.filter((part) => !answered.includes(part)).map(callOf),
  hasEnded: ({ state }) => state === "DONE",
};

test("replies that come in one tick to one instance all count: each is applied to what the other made of it", async () => {
  const store = createMemoryStore<Tally>();
  const ended: string[] = [];
  let answer: () => void = () => undefined;
  const together = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const engine = new Engine<Tally, Staged<Tally>>(
    tallies,
    {
      store,
      call: async () => {
        await together;
        return { ok: true, result: {} };
      },
      now: () => new Date(0),
      observer: { ended: (instances) => ended.push(...instances.map(({ id }) => id)) },
    },
    { leaseMs: LEASE_MS, batchSizeMax: 10 },
  );
  const instance: Tally = {
    id: "t",
    type: "TALLY",
    version: 1,
    state: "OPEN",
    published: 0,
    correlationId: "c",
    wakeInMs: LEASE_MS,
    answered: [],
  };
  store.insert(instance);
  engine.adopt([{ instance, effects: tallies.owed(instance), changed: true, durable: true }]);
  expect(engine.inFlight()).toBe(3);
  answer();
  await until("all have answered", () => engine.inFlight() === 0);
  expect(store.row("t")).toMatchObject({ state: "DONE", version: 4, answered: PARTS });
  expect(store.events).toHaveLength(1);
  expect(ended).toEqual(["t"]);
});

test("a cache that holds one saga of many costs loading, not correctness", async () => {
  const store = newStore();
  const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
  const node = createNode(store, {
    cacheSizeMax: 1,
    call: async () => ({ ok: true, result: { items: [] } }),
  });
  node.engine.adopt(insertSagas(store, ...ids));
  await until("all wait for stock", () => store.events.length === ids.length);
  await deliver(
    store,
    node.engine,
    ids.map((id) => stockReserved(id)),
  );
  await until("all ended", () => node.ended.length === ids.length);
  expect(store.counts.loads).toBeGreaterThan(0);
});

test("draining waits for the calls in hand and their saves, and takes on nothing new", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "s"));
  let drained = false;
  const draining = node.engine.drain().then(() => {
    drained = true;
  });
  await tick();
  expect(drained).toBe(false);
  node.engine.adopt(insertSagas(store, "late"));
  expect(node.open.map(({ saga }) => saga)).toEqual(["s"]);
  node.next().answer({
    ok: false,
    error: { type: "PRODUCT_NOT_FOUND", message: "", status: 404, retryable: false, data: {} },
  });
  await draining;
  // What the reply led to is committed; what is owed further is any other node's.
  expect(store.row("s").state).toBe("COMPENSATED");
  store.pass(LEASE_MS);
  await expect(node.engine.recover()).resolves.toBe(false);
  expect(node.open).toEqual([]);
  const other = createNode(store);
  await other.engine.recover();
  await until("another node goes on", () => other.open.length === 1);
});
