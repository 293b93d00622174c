import type { Engine } from "../../engine/engine.ts";
import type { Instance, Outcome } from "../../engine/protocol.ts";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import type { IdempotentAnswer } from "../../lib/contracts.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import type { OnceRequest } from "../../mixins/idempotency.mixin.ts";

export interface Acceptance<I extends Instance> {
  readonly database: Database;
  readonly engine: Engine<I, Tx>;
  /** Writes what has been started, and the events that it publishes as it starts. */
  readonly insert: (tx: Tx, started: readonly Outcome<I>[]) => void;
  readonly once: <Work>(
    tx: Tx,
    requests: readonly OnceRequest<Work>[],
    perform: (works: readonly Work[]) => Promise<void>,
  ) => Promise<(IdempotentAnswer<unknown> | Error)[]>;
}

/** A request under its key, with the instance that it starts. */
export type StartRequest<I extends Instance> = OnceRequest<Outcome<I>>;

/**
 * Takes requests on: key, answer and instance commit in one transaction, then the engine has them. A process
 * that dies right after the commit leaves rows that any node takes over when their lease ends.
 */
async function accept<I extends Instance, Body>(
  { database, engine, insert, once }: Acceptance<I>,
  requests: readonly StartRequest<I>[],
): Promise<(IdempotentAnswer<Body> | Error)[]> {
  let started: readonly Outcome<I>[] = [];
  const answers = await withTransaction(database, (tx) => {
    started = [];
    return once(tx, requests, async (outcomes) => {
      insert(tx, outcomes);
      started = outcomes;
    });
  });
  engine.adopt(started);
  // What is stored under a key is what the request put there.
  return answers as (IdempotentAnswer<Body> | Error)[];
}

/** Accepts what arrives at the same time together; half of a crowd at a time. */
export function createAcceptor<I extends Instance, Body>(
  name: string,
  sizeMax: number,
  acceptance: Acceptance<I>,
): Batcher<StartRequest<I>, IdempotentAnswer<Body>> {
  return createBatcher({
    name,
    sizeMax,
    run: (requests) => accept<I, Body>(acceptance, requests),
    onTheirWay: () => acceptance.engine.liveCount(),
  });
}
