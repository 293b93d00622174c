import { config } from "../lib/config.ts";
import type { IdempotencyClaim, IdempotentAnswer } from "../lib/contracts.ts";
import { type Database, type Tx, withTransaction } from "../lib/database.ts";
import { defineMixin } from "../lib/define.ts";
import { IdempotencyKeyReusedError, RequestInProgressError } from "../lib/errors.ts";
import {
  type AnsweredClaim,
  claimKey,
  claimKeys,
  findRecords,
  type IdempotencyRecord,
  type StoredAnswer,
  storeAnswer,
} from "./idempotency.store.ts";

/** A request under its key, with the answer it gets if it is the first. */
export interface OnceRequest<Work> extends AnsweredClaim {
  readonly work: Work;
}

/** One request whose answer is known only when its work is done. */
export interface OneRequest<Body> {
  /** Undefined: the client gave no key, and a repetition is a request of its own. */
  readonly claim: IdempotencyClaim | undefined;
  /** A refusal that it throws takes the claim back with everything else. */
  readonly perform: (tx: Tx) => Promise<AnswerOf<Body>>;
}

type AnswerOf<Body> = StoredAnswer & { readonly body: Body };

/** Never seen by anyone: the transaction that claims a key under it replaces it or does not commit. */
const UNKNOWN_YET: StoredAnswer = { status: 500, headers: {}, body: null };

/**
 * Does work once per (subject, Idempotency-Key), whatever repeats, concurrently or later. For work that is
 * local to the service's database: key, effect and answer commit together, so there is no state in between
 * to recover. Records past their time are the retention mixin's. Needs the database mixin.
 */
export const idempotency = () =>
  defineMixin<{ database: Database }>()({
    methods: {
      /**
       * Batch form. `perform` gets the work of the first requests, in the transaction that claims their keys.
       * Answers in the order asked; an IdempotencyKeyReusedError or RequestInProgressError in place of an
       * answer concerns that request alone.
       */
      async once<Work>(
        tx: Tx,
        requests: readonly OnceRequest<Work>[],
        perform: (works: readonly Work[]) => Promise<void>,
      ): Promise<(IdempotentAnswer<unknown> | Error)[]> {
        const leaders = new Map<string, OnceRequest<Work>>();
        for (const request of requests) {
          const key = claimKey(request.claim);
          if (!leaders.has(key)) leaders.set(key, request);
        }
        const claims = [...leaders.values()];
        const first = await claimKeys(tx, claims, config().IDEMPOTENCY_HOURS);
        const works = claims.filter(({ claim }) => first.has(claimKey(claim))).map(({ work }) => work);
        if (works.length > 0) await perform(works);
        const late = claims.filter(({ claim }) => !first.has(claimKey(claim))).map(({ claim }) => claim);
        const records = late.length > 0 ? await findRecords(tx, late) : new Map<string, IdempotencyRecord>();
        return requests.map((request) => {
          const key = claimKey(request.claim);
          const leader = leaders.get(key);
          if (first.has(key) && leader === request) return { replayed: false, ...request.answer };
          const record = first.has(key) && leader ? recordOf(leader) : records.get(key);
          return replayOf(request.claim, record);
        });
      },
      /** Claims the key, does the work and stores its answer, in one transaction. @throws as `once` answers, and what `perform` throws */
      async onceAlone<Body>({ claim, perform }: OneRequest<Body>): Promise<IdempotentAnswer<Body>> {
        return withTransaction(this.database, async (tx) => {
          if (claim === undefined) return { replayed: false, ...(await perform(tx)) };
          const first = await claimKeys(tx, [{ claim, answer: UNKNOWN_YET }], config().IDEMPOTENCY_HOURS);
          if (first.size > 0) {
            const answer = await perform(tx);
            storeAnswer(tx, { claim, answer });
            return { replayed: false, ...answer };
          }
          const records = await findRecords(tx, [claim]);
          const answer = replayOf(claim, records.get(claimKey(claim)));
          if (answer instanceof Error) throw answer;
          // What is stored under a key is what this very operation put there.
          return answer as IdempotentAnswer<Body>;
        });
      },
      /** The answer that an earlier request has left under the key. @throws IDEMPOTENCY_KEY_REUSED */
      async storedAnswer<Body>(claim: IdempotencyClaim): Promise<IdempotentAnswer<Body> | undefined> {
        const records = await withTransaction(this.database, (tx) => findRecords(tx, [claim]));
        const record = records.get(claimKey(claim));
        const answer = record && replayOf(claim, record);
        if (answer instanceof Error) throw answer;
        return answer as IdempotentAnswer<Body> | undefined;
      },
    },
  });

function recordOf({ claim, answer }: AnsweredClaim): IdempotencyRecord {
  return { ...claim, status: "COMPLETED", answer };
}

/** What a request under a known key is answered. */
export function replayOf(
  claim: IdempotencyClaim,
  record: IdempotencyRecord | undefined,
): IdempotentAnswer<unknown> | Error {
  // Neither ours nor anyone's: it expired between the two statements. The client may ask again at once.
  if (!record) return new RequestInProgressError(1);
  if (record.operation !== claim.operation || record.requestHash !== claim.requestHash) {
    return new IdempotencyKeyReusedError(claim.operation);
  }
  if (record.status !== "COMPLETED") return new RequestInProgressError(1);
  return { replayed: true, ...record.answer };
}
