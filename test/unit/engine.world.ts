import { Engine } from "../../engine/engine.ts";
import type { Change, EngineObserver } from "../../engine/ports.ts";
import type { CallEffect, Reply } from "../../engine/protocol.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { createMemoryStore, type MemoryStore, type Staged } from "./memory-store.ts";

export const LEASE_MS = 4_000;
export const STOCK_TIMEOUT_MS = 30_000;
export const protocol = createSagaProtocol([createOrderSaga(STOCK_TIMEOUT_MS)], LEASE_MS);

export type SagaEngine = Engine<SagaInstance, Staged<SagaInstance>>;

/** A call that is under way until the test answers it. */
export interface OpenCall {
  readonly saga: string;
  readonly effect: CallEffect;
  answer(reply?: Reply): void;
}

export interface Node {
  readonly engine: SagaEngine;
  readonly open: OpenCall[];
  /** Takes the oldest open call. */
  next(): OpenCall;
  readonly ended: string[];
  readonly changes: Change<SagaInstance>[];
  readonly failures: { problem: string; error: unknown }[];
}

const fine: Reply = { ok: true, result: { items: [], totalMinor: 0, currency: "EUR" } };

/** A node with an engine of its own over a shared store; its participants answer when the test has them do it. */
export function createNode(
  store: MemoryStore<SagaInstance>,
  options: { cacheSizeMax?: number; call?: (saga: SagaInstance, effect: CallEffect) => Promise<Reply> } = {},
): Node {
  const open: OpenCall[] = [];
  const ended: string[] = [];
  const changes: Change<SagaInstance>[] = [];
  const failures: { problem: string; error: unknown }[] = [];
  const observer: EngineObserver<SagaInstance> = {
    saved: (saved) => changes.push(...saved),
    ended: (sagas) => ended.push(...sagas.map(({ id }) => id)),
    failed: (problem, error) => failures.push({ problem, error }),
  };
  const waitForAnswer = (saga: SagaInstance, effect: CallEffect) =>
    new Promise<Reply>((resolve) => {
      open.push({ saga: saga.id, effect, answer: (reply = fine) => resolve(reply) });
    });
  const engine: SagaEngine = new Engine(
    protocol,
    { store, call: options.call ?? waitForAnswer, now: () => new Date(0), observer },
    { leaseMs: LEASE_MS, batchSizeMax: 100, cacheSizeMax: options.cacheSizeMax },
  );
  const next = () => {
    const call = open.shift();
    if (!call) throw new Error("no call is open");
    return call;
  };
  return { engine, open, next, ended, changes, failures };
}

export function newSaga(id: string) {
  return protocol.start(
    {
      id,
      type: "CREATE_ORDER",
      input: { orderId: `order ${id}`, customerId: "customer", items: [] },
      businessKey: `order ${id}`,
      ownerId: "customer",
      correlationId: "correlation",
    },
    new Date(0),
  );
}

/** Sagas that are committed; nobody has acted for them yet. */
export function insertSagas(store: MemoryStore<SagaInstance>, ...ids: readonly string[]) {
  const started = ids.map(newSaga);
  store.insert(...started.map(({ instance }) => instance));
  return started;
}

let events = 0;
const eventOf = (type: string) => (id: string, eventId?: string) => {
  events += 1;
  const data = { orderId: `order ${id}`, items: [] };
  return { id, input: { kind: "event" as const, eventId: eventId ?? `event-${events}`, type, data } };
};
export const stockReserved = eventOf("STOCK_RESERVED");
export const stockReleased = eventOf("STOCK_RELEASED");

/** Delivers events as a consumer does: in a transaction, and acts after its commit. */
export async function deliver(
  store: MemoryStore<SagaInstance>,
  engine: SagaEngine,
  received: Parameters<SagaEngine["receive"]>[1],
): Promise<void> {
  const act = await store.transaction((tx) => engine.receive(tx, received));
  act();
}

export const newStore = () => createMemoryStore<SagaInstance>();
