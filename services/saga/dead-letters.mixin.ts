import { busOf } from "../../lib/bus/broker-bus.ts";
import type { Subscription } from "../../lib/bus/bus.ts";
import type { IdempotencyClaim, IdempotentAnswer, RedriveAnswer } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { TOPICS } from "../../lib/events.ts";
import { pageBy, seekOf } from "../../lib/page.ts";
import { actor, claimRules, cursor, deedReason, limit, uuid } from "../../lib/params.ts";
import { insertLetters, listLetters } from "./dead-letters.store.ts";
import { readLetter } from "./dead-letters.ts";
import { LETTERS_MAX, redriveLetters } from "./redrive.ts";

interface DeadLetterVars {
  database: Database;
  letters: Subscription;
  storedAnswer<Body>(claim: IdempotencyClaim): Promise<IdempotentAnswer<Body> | undefined>;
}

const GROUP = "saga-operations-group";
const text = { type: "string", min: 1, max: 255, optional: true } as const;

/** The dead-letter topic as a table: every letter is seen, whichever service wrote it, and can be delivered again. */
export const deadLetters = () =>
  defineMixin<DeadLetterVars>()({
    actions: {
      /** Newest first. @throws CURSOR_INVALID */
      deadLetters: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          status: { type: "enum", values: ["OPEN", "REDRIVEN"], optional: true },
          source: text,
          eventType: text,
          limit,
          cursor,
        },
        async handler(ctx: ActionContext<"saga.deadLetters">) {
          const found = await listLetters(this.database, ctx.params, seekOf(ctx.params));
          return pageBy(found, ctx.params, ({ view }) => view);
        },
      },
      /** To deliver a letter twice is harmless: its group processes it once. @throws IDEMPOTENCY_KEY_REUSED */
      redrive: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          letterIds: { type: "array", items: uuid, min: 1, max: LETTERS_MAX, unique: true, optional: true },
          source: text,
          eventType: text,
          actor,
          reason: deedReason,
          idempotency: { ...claimRules, optional: true },
        },
        async handler(ctx: ActionContext<"saga.redrive">): Promise<IdempotentAnswer<RedriveAnswer>> {
          const { idempotency: claim } = ctx.params;
          const stored = claim && (await this.storedAnswer<RedriveAnswer>(claim));
          if (stored) return stored;
          return redriveLetters(ctx, this.database);
        },
      },
    },
    async started() {
      this.letters = await busOf(this.broker).subscribe({
        group: GROUP,
        topics: [TOPICS.deadLetters.name],
        batchSizeMax: LETTERS_MAX,
        handler: (messages) => insertLetters(this.database, messages.map(readLetter)),
      });
      drainFirst(this.broker, `consumer ${GROUP}`, () => this.letters.stop());
    },
    async stopped() {
      await this.letters?.stop();
    },
  });
