import type { CallEffect, Instance, PublishEffect, Reply } from "./protocol.ts";

/** What the engine needs of the world. Production hands it PostgreSQL and Moleculer; the simulation its own. */

export interface Change<I extends Instance> {
  readonly before: I;
  /** `version` is still that of `before`; saving counts it up. */
  readonly after: I;
  readonly published: readonly PublishEffect[];
}

/** `Tx` is whatever a transaction is to the store. */
export interface InstanceStore<I extends Instance, Tx> {
  transaction<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
  load(tx: Tx, ids: readonly string[]): Promise<I[]>;
  /** Compare-and-set on (id, version): writes instances and outbox rows, answers the ids that went through. */
  save(tx: Tx, changes: readonly Change<I>[]): Promise<ReadonlySet<string>>;
  /** `save` in a transaction of its own: one statement when nothing is published. */
  saveAlone(changes: readonly Change<I>[]): Promise<ReadonlySet<string>>;
  /** Takes up to `limit` instances whose wake-up time has passed and moves it by the lease; others skip them. */
  claimDue(limit: number, leaseMs: number): Promise<I[]>;
}

export interface EngineObserver<I extends Instance> {
  started?(instances: readonly I[]): void;
  /** After each durable change. */
  saved?(changes: readonly Change<I>[]): void;
  ended?(instances: readonly I[]): void;
  failed?(problem: string, error: unknown, instance: I): void;
}

export interface EnginePorts<I extends Instance, Tx> {
  readonly store: InstanceStore<I, Tx>;
  /** Performs a call; never rejects. */
  readonly call: (instance: I, effect: CallEffect) => Promise<Reply>;
  /** Runs what is done for an instance, in the context that belongs to it; left out: in whatever context there is. */
  readonly within?: <Result>(instance: I, work: () => Result) => Result;
  readonly now: () => Date;
  readonly observer: EngineObserver<I>;
}

export interface EngineOptions {
  readonly leaseMs: number;
  readonly batchSizeMax: number;
  /** Instances that are kept in memory between inputs, to spare loading them. */
  readonly cacheSizeMax?: number;
}
