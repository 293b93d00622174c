import { busOf } from "../../lib/bus/broker-bus.ts";
import type { Subscription } from "../../lib/bus/bus.ts";
import type { IdempotencyClaim, IdempotentAnswer } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { TOPICS } from "../../lib/events.ts";
import type { DeadLetterDetails, DiscardAnswer, RedriveAnswer } from "../../lib/operator-contracts.ts";
import { pageBy, seekOf } from "../../lib/page.ts";
import { actor, claimRules, cursor, deedReason, limit, uuid } from "../../lib/params.ts";
import { findLetters, groupLetters, insertLetters, listLetters } from "./dead-letters.store.ts";
import { messageIn, readLetter } from "./dead-letters.ts";
import { discardLetters } from "./discard.ts";
import { LETTERS_MAX } from "./letter-choice.ts";
import { redriveLetters } from "./redrive.ts";

interface DeadLetterVars {
  database: Database;
  letters: Subscription;
  storedAnswer<Body>(claim: IdempotencyClaim): Promise<IdempotentAnswer<Body> | undefined>;
}

const GROUP = "saga-operations-group";
const text = { type: "string", min: 1, max: 255, optional: true } as const;
const kind = { source: text, topic: text, eventType: text, code: text } as const;
/** Which letters are meant, by whom and why. */
const choice = {
  $$strict: true,
  letterIds: { type: "array", items: uuid, min: 1, max: LETTERS_MAX, unique: true, optional: true },
  ...kind,
  all: { type: "boolean", optional: true },
  actor,
  reason: deedReason,
  idempotency: { ...claimRules, optional: true },
} as const;

/** The dead-letter topic as a table: every letter is seen, whichever service wrote it, and can be delivered again. */
export const deadLetters = () =>
  defineMixin<DeadLetterVars>()({
    actions: {
      /** Newest first. @throws CURSOR_INVALID */
      deadLetters: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          status: { type: "enum", values: ["OPEN", "REDRIVEN", "DISCARDED"], optional: true },
          ...kind,
          limit,
          cursor,
        },
        async handler(ctx: ActionContext<"saga.deadLetters">) {
          const found = await listLetters(this.database, ctx.params, seekOf(ctx.params));
          return pageBy(found, ctx.params, ({ view }) => view);
        },
      },
      /** What is open, by its reason. */
      deadLetterGroups: {
        callers: ["gateway"],
        params: { $$strict: true },
        async handler() {
          return { items: await groupLetters(this.database) };
        },
      },
      /** One letter, with what it carries. @throws LETTER_NOT_FOUND */
      deadLetter: {
        callers: ["gateway"],
        params: { $$strict: true, letterId: uuid },
        async handler(ctx: ActionContext<"saga.deadLetter">): Promise<DeadLetterDetails> {
          const { letterId } = ctx.params;
          const [found] = await findLetters(this.database, [letterId]);
          if (found === undefined) throw new NotFoundError("letter", letterId);
          return { ...found.view, ...messageIn(found.data) };
        },
      },
      /** To deliver a letter twice is harmless: its group processes it once. @throws IDEMPOTENCY_KEY_REUSED */
      redrive: {
        callers: ["gateway"],
        params: choice,
        async handler(ctx: ActionContext<"saga.redrive">): Promise<IdempotentAnswer<RedriveAnswer>> {
          const { idempotency: claim } = ctx.params;
          const stored = claim && (await this.storedAnswer<RedriveAnswer>(claim));
          if (stored) return stored;
          return redriveLetters(ctx, this.database);
        },
      },
      /** Says of letters that nobody is going to deliver them. @throws IDEMPOTENCY_KEY_REUSED */
      discard: {
        callers: ["gateway"],
        params: choice,
        async handler(ctx: ActionContext<"saga.discard">): Promise<IdempotentAnswer<DiscardAnswer>> {
          const { idempotency: claim } = ctx.params;
          const stored = claim && (await this.storedAnswer<DiscardAnswer>(claim));
          if (stored) return stored;
          return discardLetters(this.database, ctx.params);
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
