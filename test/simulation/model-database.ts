import { type Process, type Scheduler, Violation } from "./scheduler.ts";

/** A PostgreSQL as far as the engine can tell: transactions, row locks, one clock, connections that break. */

export interface ModelTx {
  readonly owner: Process;
  state: "open" | "committed" | "aborted";
  /** `now()` of the transaction. */
  startedAtMs: number;
  readonly locks: Set<string>;
  /** Applied all together at commit. */
  readonly writes: (() => void)[];
  readonly hooks: (() => void)[];
}

interface Waiting {
  readonly attempt: () => void;
  readonly giveUp: () => void;
  done: boolean;
}

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_TIMEOUT_MS = 15_000;

/** As lib/errors.ts and lib/database-errors.ts tell them apart: by code. */
function failure(type: string): Error {
  return Object.assign(new Error(type), { code: 503, type, retryable: true });
}

export class ModelDatabase {
  readonly inbox = new Set<string>();
  private readonly scheduler: Scheduler;
  private readonly holders = new Map<string, ModelTx>();
  private readonly open = new Set<ModelTx>();
  private waiting: Waiting[] = [];

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  isLocked(key: string, except?: ModelTx): boolean {
    const holder = this.holders.get(key);
    return holder !== undefined && holder !== except;
  }

  async transaction<Result>(owner: Process, work: (tx: ModelTx) => Promise<Result>): Promise<Result> {
    const tx = this.begin(owner);
    let result: Result;
    try {
      result = await work(tx);
    } catch (error) {
      this.rollback(tx);
      throw error;
    }
    await this.commit(tx);
    for (const hook of tx.hooks) hook();
    return result;
  }

  begin(owner: Process): ModelTx {
    const tx: ModelTx = {
      owner,
      state: "open",
      startedAtMs: -1,
      locks: new Set(),
      writes: [],
      hooks: [],
    };
    this.open.add(tx);
    return tx;
  }

  rollback(tx: ModelTx): void {
    this.end(tx, "aborted");
  }

  async commit(tx: ModelTx): Promise<void> {
    const apply = () => {
      for (const write of tx.writes) write();
      this.end(tx, "committed");
    };
    await this.execute(tx.owner, "commit", tx, () => [], apply);
  }

  /**
   * One statement: sent, executed when nobody else holds the rows that it locks, answered. Without a transaction it
   * commits alone.
   */
  execute<Result>(
    owner: Process,
    label: string,
    tx: ModelTx | undefined,
    keysOf: () => readonly string[],
    statement: (nowMs: number) => Result,
  ): Promise<Result> {
    const { scheduler } = this;
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void) =>
        scheduler.post(`${label} answered`, scheduler.latency("database answers"), settle, owner);
      const fail = (type: string) => {
        if (tx) this.end(tx, "aborted");
        answer(() => reject(failure(type)));
      };
      const perform = (nowMs: number) => {
        if (tx) {
          if (tx.startedAtMs < 0) tx.startedAtMs = nowMs;
          for (const key of keysOf()) this.lock(key, tx);
        }
        const result = statement(tx ? tx.startedAtMs : nowMs);
        const isUnheard = scheduler.random.strike("unheard", label);
        if (isUnheard) fail(label === "commit" ? "COMMIT_OUTCOME_UNKNOWN" : "DATABASE_UNAVAILABLE");
        else answer(() => resolve(result));
      };
      const isBlocked = () => keysOf().some((key) => this.isLocked(key, tx));
      const arrive = () => {
        const nowMs = scheduler.nowMs;
        if (tx && tx.state !== "open") return fail("DATABASE_UNAVAILABLE");
        if (!isBlocked()) return perform(nowMs);
        this.wait(() => {
          if (isBlocked()) return false;
          if (tx && tx.state !== "open") fail("DATABASE_UNAVAILABLE");
          else perform(nowMs);
          return true;
        }, fail);
      };
      if (scheduler.random.strike("unsent", label)) fail("DATABASE_UNAVAILABLE");
      else scheduler.post(label, scheduler.latency("database asked"), arrive);
    });
  }

  /** Which of these events are new to the group; noted together with what the transaction does. */
  record(tx: ModelTx, group: string, eventIds: readonly string[]): Promise<ReadonlySet<string>> {
    const keys = eventIds.map((id) => `${group} ${id}`);
    return this.execute(
      tx.owner,
      "record events",
      tx,
      () => keys,
      () => {
        const fresh = eventIds.filter((id) => !this.inbox.has(`${group} ${id}`));
        for (const id of fresh) tx.writes.push(() => this.inbox.add(`${group} ${id}`));
        return new Set(fresh);
      },
    );
  }

  /** A process is gone: the server notices, sooner or later, and rolls back what it had open. */
  lose(owner: Process): void {
    for (const tx of this.open) {
      if (tx.owner !== owner) continue;
      const quick = this.scheduler.random.at("connections lost").chance(0.8);
      const delayMs = quick ? 5 : IDLE_TIMEOUT_MS;
      this.scheduler.post("rolled back", delayMs, () => this.end(tx, "aborted"));
    }
  }

  private lock(key: string, tx: ModelTx): void {
    this.holders.set(key, tx);
    if (tx.locks.size === 0) {
      // Whoever stands still for longer than that has lost its transaction.
      this.scheduler.post("idle in transaction", IDLE_TIMEOUT_MS, () => this.end(tx, "aborted"));
    }
    tx.locks.add(key);
  }

  private end(tx: ModelTx, state: "committed" | "aborted"): void {
    if (tx.state !== "open") return;
    tx.state = state;
    this.open.delete(tx);
    for (const key of tx.locks) {
      if (this.holders.get(key) !== tx) throw new Violation(`a lock of ${key} was stolen`);
      this.holders.delete(key);
    }
    if (tx.locks.size > 0) this.retryWaiting();
  }

  private wait(attempt: () => boolean, fail: (type: string) => void): void {
    const waiting: Waiting = {
      done: false,
      attempt: () => {
        waiting.done = attempt();
      },
      giveUp: () => {
        if (waiting.done) return;
        waiting.done = true;
        fail("LOCK_TIMEOUT");
      },
    };
    this.waiting.push(waiting);
    this.scheduler.post("lock timeout", LOCK_TIMEOUT_MS, waiting.giveUp);
  }

  private retryWaiting(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const one of waiting) if (!one.done) one.attempt();
    this.waiting.push(...waiting.filter(({ done }) => !done));
  }
}
