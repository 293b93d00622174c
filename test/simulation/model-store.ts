import type { Change, InstanceStore } from "../../engine/ports.ts";
import type { Instance } from "../../engine/protocol.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import type { BusEvent } from "./model-bus.ts";
import type { ModelDatabase, ModelTx } from "./model-database.ts";
import { type Process, Violation } from "./scheduler.ts";

/**
 * The tables saga_instances and tcc_transactions, in the words of saga.store.ts and tcc.store.ts. model-store.test.ts
 * holds both to the same answers.
 */

export interface Row<I> {
  readonly instance: I;
  readonly wakeAtMs: number | null;
  /** Of transactions: until when they may be decided. */
  readonly expiresAtMs: number;
}

export interface TableRules<I extends Instance> {
  /** A row as its store reads it. */
  read(row: Row<I>, nowMs: number): I;
  /** When a saved row is to wake; `before` is the row as it stands. */
  wakeAt(before: Row<I>, after: I, nowMs: number): number | null;
  /** What the save's where clause lets through, beside the version. */
  admits(before: Row<I>, after: I, nowMs: number): boolean;
}

export interface TableHooks<I extends Instance> {
  /** Each change as it commits. */
  readonly onChange: (before: I | undefined, after: I) => void;
  readonly onEvents: (events: readonly BusEvent[]) => void;
  /** Something is to be woken then. */
  readonly onWakeAt: (atMs: number) => void;
}

const after = (nowMs: number, delayMs: number | null) => (delayMs === null ? null : nowMs + delayMs);

export const SAGA_RULES: TableRules<SagaInstance> = {
  read: ({ instance, wakeAtMs }, nowMs) => ({
    ...instance,
    wakeInMs: wakeAtMs === null ? null : Math.max(0, Math.ceil(wakeAtMs - nowMs)),
  }),
  wakeAt: (_before, { wakeInMs }, nowMs) => after(nowMs, wakeInMs),
  admits: () => true,
};

export const TCC_RULES: TableRules<TccInstance> = {
  read: ({ instance, expiresAtMs }, nowMs) => ({
    ...instance,
    wakeInMs: null,
    deadlineMs: 0,
    expired: expiresAtMs <= nowMs,
  }),
  wakeAt({ wakeAtMs }, { wakeInMs }, nowMs) {
    if (wakeInMs === null) return null;
    const isGoodEnough =
      wakeAtMs !== null && wakeAtMs >= nowMs + wakeInMs / 2 && wakeAtMs <= nowMs + wakeInMs;
    return isGoodEnough ? wakeAtMs : nowMs + wakeInMs;
  },
  admits: ({ instance, expiresAtMs }, next, nowMs) =>
    !(instance.state === "TRYING" && next.state === "CONFIRMING" && expiresAtMs <= nowMs),
};

export class Table<I extends Instance> {
  readonly rows = new Map<string, Row<I>>();
  /** Mutation: saves go through from any version. */
  ignoresVersion = false;
  private readonly database: ModelDatabase;
  private readonly rules: TableRules<I>;
  private readonly hooks: TableHooks<I>;

  constructor(database: ModelDatabase, rules: TableRules<I>, hooks: TableHooks<I>) {
    this.database = database;
    this.rules = rules;
    this.hooks = hooks;
  }

  /** When the next row wakes. */
  nextWakeAtMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { wakeAtMs } of this.rows.values()) if (wakeAtMs !== null && wakeAtMs < next) next = wakeAtMs;
    return next;
  }

  insert(
    tx: ModelTx,
    instance: I & { readonly deadlineMs?: number },
    events: readonly BusEvent[],
  ): Promise<boolean> {
    return this.database.execute(
      tx.owner,
      "insert",
      tx,
      () => [instance.id],
      (nowMs) => {
        // Under its idempotency key a request starts one instance, however often it comes.
        if (this.rows.has(instance.id)) return false;
        const wakeAtMs = after(nowMs, instance.wakeInMs);
        const row = { instance, wakeAtMs, expiresAtMs: nowMs + (instance.deadlineMs ?? 0) };
        tx.writes.push(() => this.commit(undefined, row, events));
        return true;
      },
    );
  }

  /** The engine's port, as one process uses it. */
  storeOf(owner: Process): InstanceStore<I, ModelTx> {
    const { database } = this;
    return {
      transaction: (work) => database.transaction(owner, work),
      load: (tx, ids) =>
        database.execute(
          owner,
          "load",
          tx,
          () => ids.filter((id) => this.rows.has(id)),
          (nowMs) =>
            ids.flatMap((id) => {
              const row = this.rows.get(id);
              return row ? [this.rules.read(row, nowMs)] : [];
            }),
        ),
      save: (tx, changes) =>
        database.execute(
          owner,
          "save",
          tx,
          () => this.matched(changes),
          (nowMs) => {
            const saves = this.admitted(changes, nowMs);
            tx.writes.push(...saves.map(({ write }) => write));
            return new Set(saves.map(({ id }) => id));
          },
        ),
      saveAlone: (changes) =>
        database.execute(
          owner,
          "save alone",
          undefined,
          () => this.matched(changes),
          (nowMs) => {
            const saves = this.admitted(changes, nowMs);
            for (const { write } of saves) write();
            return new Set(saves.map(({ id }) => id));
          },
        ),
      claimDue: (limit, leaseMs) =>
        database.execute(
          owner,
          "claim",
          undefined,
          () => [],
          (nowMs) => this.claim(limit, leaseMs, nowMs),
        ),
    };
  }

  private claim(limit: number, leaseMs: number, nowMs: number): I[] {
    const due = [...this.rows]
      .flatMap(([id, row]) =>
        row.wakeAtMs !== null && row.wakeAtMs <= nowMs && !this.database.isLocked(id)
          ? [{ id, row, wakeAtMs: row.wakeAtMs }]
          : [],
      )
      .sort((a, b) => a.wakeAtMs - b.wakeAtMs)
      .slice(0, limit);
    return due.map(({ id, row }) => {
      const claimed = { ...row, wakeAtMs: nowMs + leaseMs };
      this.rows.set(id, claimed);
      this.hooks.onWakeAt(nowMs + leaseMs);
      return this.rules.read(claimed, nowMs);
    });
  }

  private matches({ instance }: Row<I>, before: I): boolean {
    return instance.version === before.version || this.ignoresVersion;
  }

  /** Rows that an update finds; others it neither locks nor waits for. */
  private matched(changes: readonly Change<I>[]): string[] {
    return changes.flatMap(({ before, after: next }) => {
      const row = this.rows.get(before.id);
      const isFound = row && this.matches(row, before) && this.rules.admits(row, next, this.database.nowMs);
      return isFound ? [before.id] : [];
    });
  }

  private admitted(changes: readonly Change<I>[], nowMs: number) {
    return changes.flatMap(({ before, after: next, published }) => {
      const row = this.rows.get(next.id);
      if (!row || !this.matches(row, before)) return [];
      if (!this.rules.admits(row, next, nowMs)) return [];
      const version = row.instance.version + 1;
      const saved = { ...row, instance: { ...next, version }, wakeAtMs: this.rules.wakeAt(row, next, nowMs) };
      const events = published.map(({ type, data }, index) => ({
        eventId: `${next.id} ${before.published + index + 1}`,
        aggregateId: next.id,
        type,
        data,
      }));
      return [{ id: next.id, write: () => this.commit(row.instance, saved, events) }];
    });
  }

  private commit(before: I | undefined, row: Row<I>, events: readonly BusEvent[]): void {
    const { instance, wakeAtMs } = row;
    if (this.rows.get(instance.id)?.instance !== before)
      throw new Violation(`a change of ${instance.id} is lost`);
    this.rows.set(instance.id, row);
    this.hooks.onChange(before, instance);
    if (events.length > 0) this.hooks.onEvents(events);
    if (wakeAtMs !== null) this.hooks.onWakeAt(wakeAtMs);
  }
}
