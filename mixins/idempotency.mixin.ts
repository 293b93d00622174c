import { config } from "../lib/config.ts";
import type { IdempotencyClaim, IdempotentAnswer } from "../lib/contracts.ts";
import type { Tx } from "../lib/database.ts";
import { defineMixin } from "../lib/define.ts";
import { IdempotencyKeyReusedError, RequestInProgressError } from "../lib/errors.ts";
import {
  type AnsweredClaim,
  claimKey,
  claimKeys,
  findRecords,
  type IdempotencyRecord,
} from "./idempotency.store.ts";

/** A request under its key, with the answer it gets if it is the first. */
export interface OnceRequest<Work> extends AnsweredClaim {
  readonly work: Work;
}

/**
 * Does work once per (subject, Idempotency-Key), whatever repeats, concurrently or later. For work that is
 * local to the service's database: key, effect and answer commit together, so there is no state in between
 * to recover. Records past their time are the retention mixin's. Needs the database mixin.
 */
export const idempotency = () =>
  defineMixin()({
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
