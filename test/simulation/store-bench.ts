import type { InstanceStore } from "../../engine/ports.ts";
import type { Instance } from "../../engine/protocol.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { withTransaction } from "../../lib/database.ts";
import { run } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { Choices } from "./faults.ts";
import { ModelDatabase, type ModelTx } from "./model-database.ts";
import { Table, type TableRules } from "./model-store.ts";
import { type Process, Scheduler } from "./scheduler.ts";

/** A store, the real one or the model, in the hands of a test that does the same to both. */
export interface Bench<I extends Instance, Transaction = unknown> {
  readonly store: InstanceStore<I, Transaction>;
  /** Waits for an operation of the store. */
  run<Result>(work: Promise<Result>): Promise<Result>;
  insert(instances: readonly I[]): Promise<void>;
  /** What is said of time is said of the database's clock. */
  pass(timeMs: number): Promise<void>;
  /** Waits until something has come to pass. */
  until(what: string, isSo: () => boolean): Promise<void>;
  /** All rows, with what is left until they wake. */
  rows(): Promise<readonly { id: string; state: string; version: number; wakesInMs: number | null }[]>;
  /** `aggregate version type` of each event. */
  events(): Promise<readonly string[]>;
}

export interface RealParts<I extends Instance> {
  readonly url: string;
  readonly database: Database;
  readonly store: InstanceStore<I, Tx>;
  readonly table: "saga_instances" | "tcc_transactions";
  readonly insert: (tx: Tx, instances: readonly I[]) => void;
}

export function realBench<I extends Instance>({
  url,
  database,
  store,
  table,
  insert,
}: RealParts<I>): Bench<I, Tx> {
  return {
    store,
    run: (work) => work,
    insert: (instances) => withTransaction(database, async (tx) => insert(tx, instances)),
    async pass(timeMs) {
      const columns = table === "tcc_transactions" ? ["wake_at", "expires_at"] : ["wake_at"];
      const earlier = columns.map((column) => `${column} = ${column} - $1 * interval '1 millisecond'`);
      await run(url, `update ${table} set ${earlier.join(", ")}`, [timeMs]);
    },
    until: async (what, isSo) => {
      await until(what, isSo);
    },
    rows: () =>
      run(
        url,
        `select id, state, version, (extract(epoch from wake_at - now()) * 1000)::float8 as "wakesInMs" from ${table}`,
      ),
    async events() {
      const text =
        "select aggregate_id || ' ' || aggregate_version || ' ' || event_type as told from outbox_events";
      return (await run<{ told: string }>(url, text)).map(({ told }) => told);
    },
  };
}

export function modelBench<I extends Instance>(rules: TableRules<I>): Bench<I, ModelTx> {
  const scheduler = new Scheduler((now) => new Choices({ seed: 1 }, now));
  const database = new ModelDatabase(scheduler);
  const told: string[] = [];
  const table = new Table<I>(database, rules, {
    onChange: () => undefined,
    onWakeAt: () => undefined,
    onEvents: (events) => told.push(...events.map(({ eventId, type }) => `${eventId} ${type}`)),
  });
  const process: Process = {
    name: "test",
    alive: true,
    pausedUntilMs: 0,
    skewMs: 0,
    onCrash: () => undefined,
  };
  const runUntil = (isSo: () => boolean) => scheduler.run(isSo, () => undefined);
  /** The schedule goes on for as long as somebody waits for something. */
  const awaited = async <Result>(work: Promise<Result>): Promise<Result> => {
    let isOver = false;
    const noted = work.finally(() => {
      isOver = true;
    });
    noted.catch(() => undefined);
    // What it has to do before its first wait is done first.
    await new Promise<void>((resolve) => globalThis.process.nextTick(resolve));
    await runUntil(() => isOver);
    return noted;
  };
  return {
    store: table.storeOf(process),
    run: awaited,
    async insert(instances) {
      const work = async (tx: ModelTx) => {
        for (const instance of instances) await table.insert(tx, instance, []);
      };
      await awaited(database.transaction(process, work));
    },
    async pass(timeMs) {
      scheduler.nowMs += timeMs;
    },
    until: (_what, isSo) => runUntil(isSo),
    rows: async () =>
      [...table.rows.values()].map(({ instance: { id, state, version }, wakeAtMs }) => ({
        id,
        state,
        version,
        wakesInMs: wakeAtMs === null ? null : wakeAtMs - scheduler.nowMs,
      })),
    events: async () => told,
  };
}
