import { config } from "../../lib/config.ts";
import type { IdempotencyClaim, IdempotentAnswer } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { withTransaction } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { RequestInProgressError } from "../../lib/errors.ts";
import { claimRules } from "../../lib/params.ts";
import { replayOf } from "../../mixins/idempotency.mixin.ts";
import { findRecords } from "../../mixins/idempotency.store.ts";
import { beginKey, finishKey, releaseKey, secondsLeft } from "../../mixins/idempotency-lease.store.ts";

interface KeyVars {
  database: Database;
}

/** Longer than a request may take; so long has a client to wait that meets what a dead process left. */
const LEASE_MARGIN_MS = 2_000;

const attempt = { type: "number", integer: true, min: 1 } as const;

/**
 * Keeps the keys of requests whose work commits elsewhere, beside those of orders, payments and cancellations: whatever
 * a subject uses a key for, it meets its other uses.
 */
export const keyedRequests = () =>
  defineMixin<KeyVars>()({
    methods: {
      /** The answer under a key that is not new. @throws IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS */
      async knownAnswer(claim: IdempotencyClaim): Promise<IdempotentAnswer<unknown>> {
        const records = await withTransaction(this.database, (tx) => findRecords(tx, [claim]));
        const answer = replayOf(claim, [...records.values()][0]);
        if (answer instanceof RequestInProgressError)
          throw new RequestInProgressError(await secondsLeft(this.database, claim));
        if (answer instanceof Error) throw answer;
        return answer;
      },
    },
    actions: {
      /**
       * Begins a request under its key: answers the number of the attempt to do its work, or what it was answered before.
       * @throws IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS
       */
      beginKey: {
        callers: ["gateway"],
        params: { $$strict: true, claim: claimRules },
        async handler(ctx: ActionContext<"saga.beginKey">) {
          const { claim } = ctx.params;
          const { REQUEST_TIMEOUT_MS, IDEMPOTENCY_HOURS } = config();
          const leaseMs = REQUEST_TIMEOUT_MS + LEASE_MARGIN_MS;
          const begun = await beginKey(this.database, claim, leaseMs, IDEMPOTENCY_HOURS);
          return begun === undefined ? { known: await this.knownAnswer(claim) } : { attempt: begun };
        },
      },
      /** Stores what a request is answered from now on. @throws REQUEST_IN_PROGRESS another attempt has begun */
      finishKey: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          claim: claimRules,
          attempt,
          answer: {
            type: "object",
            strict: true,
            props: { status: "number", headers: "object", body: "any" },
          },
        },
        async handler(ctx: ActionContext<"saga.finishKey">) {
          const { claim, attempt: mine, answer } = ctx.params;
          const done = await finishKey(this.database, claim, mine, answer, config().IDEMPOTENCY_HOURS);
          if (!done) throw new RequestInProgressError(1);
          return { done };
        },
      },
      /** Gives back a key whose request was refused. */
      releaseKey: {
        callers: ["gateway"],
        params: { $$strict: true, claim: claimRules, attempt },
        async handler(ctx: ActionContext<"saga.releaseKey">) {
          await releaseKey(this.database, ctx.params.claim, ctx.params.attempt);
          return { done: true };
        },
      },
    },
  });
