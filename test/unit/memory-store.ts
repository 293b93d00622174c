import type { Change, InstanceStore } from "../../engine/ports.ts";
import type { Instance, PublishEffect } from "../../engine/protocol.ts";

export interface Staged<I> {
  readonly rows: Map<string, I>;
  readonly events: StoredEvent[];
}

export interface StoredEvent extends PublishEffect {
  readonly aggregateId: string;
  readonly aggregateVersion: number;
}

export interface MemoryStore<I extends Instance> extends InstanceStore<I, Staged<I>> {
  /** What is committed. */
  row(id: string): I;
  insert(...instances: readonly I[]): void;
  readonly events: readonly StoredEvent[];
  readonly counts: { saves: number; loads: number; saved: number };
  /** Moves the clock: what is due by then can be claimed. */
  pass(timeMs: number): void;
  /** The next transaction, or save of its own, fails as if the database were away. */
  failNext(error: Error): void;
  /** Called before each operation: a place for a test to interleave others. */
  onOperation: () => Promise<void>;
}

/**
 * The engine's port over memory, as strict as the database: rows are copies, transactions run one after the
 * other and leave nothing behind when they fail, a save goes through only from the version it was made from,
 * and (aggregate, version) of an event is unique.
 */
export function createMemoryStore<I extends Instance>(): MemoryStore<I> {
  let committed: Staged<I> = { rows: new Map(), events: [] };
  const wakeAt = new Map<string, number>();
  const counts = { saves: 0, loads: 0, saved: 0 };
  let now = 0;
  let failure: Error | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const save = (tx: Staged<I>, changes: readonly Change<I>[]) => {
    counts.saves += 1;
    const saved = new Set<string>();
    for (const { before, after, published } of changes) {
      // PostgreSQL updates a row once in a statement, whichever of two changes it meets, and answers its id.
      if (saved.has(after.id)) continue;
      if (tx.rows.get(after.id)?.version !== before.version) continue;
      tx.rows.set(after.id, structuredClone({ ...after, version: before.version + 1 }));
      published.forEach((effect, index) => {
        const aggregateVersion = before.published + index + 1;
        const known = tx.events.some(
          (event) => event.aggregateId === after.id && event.aggregateVersion === aggregateVersion,
        );
        if (known) throw new Error(`version ${aggregateVersion} of ${after.id} is told already`);
        tx.events.push({ ...effect, aggregateId: after.id, aggregateVersion });
      });
      saved.add(after.id);
    }
    counts.saved += saved.size;
    return saved;
  };
  const commit = (tx: Staged<I>) => {
    for (const [id, row] of tx.rows) {
      if (committed.rows.get(id)?.version === row.version) continue;
      if (row.wakeInMs === null) wakeAt.delete(id);
      else wakeAt.set(id, now + row.wakeInMs);
    }
    committed = tx;
  };
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
  const store: MemoryStore<I> = {
    row(id) {
      const row = committed.rows.get(id);
      if (!row) throw new Error(`no row ${id}`);
      return structuredClone(row);
    },
    insert(...instances) {
      const rows = new Map(committed.rows);
      for (const instance of instances) rows.set(instance.id, structuredClone(instance));
      commit({ rows, events: committed.events });
    },
    get events() {
      return committed.events;
    },
    counts,
    pass(timeMs) {
      now += timeMs;
    },
    failNext(error) {
      failure = error;
    },
    onOperation: async () => undefined,
    transaction: (work) =>
      inTurn(async () => {
        await store.onOperation();
        const tx = { rows: new Map(committed.rows), events: [...committed.events] };
        const result = await work(tx);
        const error = failure;
        failure = undefined;
        if (error) throw error;
        commit(tx);
        return result;
      }),
    async load(tx, ids) {
      counts.loads += 1;
      return ids.flatMap((id) => tx.rows.get(id) ?? []).map((row) => structuredClone(row));
    },
    save: async (tx, changes) => save(tx, changes),
    saveAlone: (changes) => store.transaction(async (tx) => save(tx, changes)),
    claimDue: (limit, leaseMs) =>
      inTurn(async () => {
        await store.onOperation();
        const due = [...wakeAt].filter(([, at]) => at <= now).sort((a, b) => a[1] - b[1]);
        const ids = due.slice(0, limit).map(([id]) => id);
        for (const id of ids) wakeAt.set(id, now + leaseMs);
        return ids.map((id) => store.row(id));
      }),
  };
  return store;
}
