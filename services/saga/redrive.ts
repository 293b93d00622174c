import type { Actions } from "../../lib/actions.ts";
import { config } from "../../lib/config.ts";
import { type Database, withTransaction } from "../../lib/database.ts";
import { type ActionContext, callAction } from "../../lib/define.ts";
import { factsOf, RequestInProgressError } from "../../lib/errors.ts";
import type { Reason } from "../../lib/events.ts";
import type { FailedLetter, RedriveAnswer } from "../../lib/operator-contracts.ts";
import { claimKeys } from "../../mixins/idempotency.store.ts";
import { type StoredLetter, settleLetters } from "./dead-letters.store.ts";
import { deliveryOf } from "./dead-letters.ts";
import { chosenLetters } from "./letter-choice.ts";
import { recordDeed } from "./operations.store.ts";

type Redrive = Actions["saga.redrive"];
/** Well within the time that a call may take: what is not reached by then is reported as not tried. */
const REDRIVE_MS_MAX = 3_000;
const NOT_TRIED = { code: "NOT_TRIED", message: "There was no time left for it: ask again." };
const NOT_OPEN = { code: "LETTER_NOT_OPEN", message: "It was dealt with before." };

/** Delivers the letters that are meant again, and says of each what became of it. */
export async function redriveLetters(
  ctx: ActionContext<"saga.redrive">,
  database: Database,
): Promise<Redrive["result"]> {
  const { letters, missing } = await chosenLetters(database, ctx.params);
  const { redriven, failed } = await deliverAll(ctx, letters);
  return settle(database, ctx.params, { redriven, failed: [...failed, ...missing] });
}

async function deliverAll(
  ctx: ActionContext<"saga.redrive">,
  letters: readonly StoredLetter[],
): Promise<RedriveAnswer> {
  const redriven: string[] = [];
  const failed: FailedLetter[] = [];
  const until = performance.now() + REDRIVE_MS_MAX;
  for (const letter of letters) {
    const error = performance.now() > until ? NOT_TRIED : await deliver(ctx, letter);
    if (error) failed.push({ letterId: letter.id, error });
    else redriven.push(letter.id);
  }
  return { redriven, failed };
}

/** Answers what stood against it. */
async function deliver(
  ctx: ActionContext<"saga.redrive">,
  letter: StoredLetter,
): Promise<Reason | undefined> {
  const { status, source, at } = letter.view;
  if (status !== "OPEN") return NOT_OPEN;
  const delivery = deliveryOf({ source, at, data: letter.data });
  if (delivery.kind === "impossible") return delivery.error;
  const { service } = delivery;
  try {
    if (delivery.kind === "event") {
      await callAction(ctx, `${service}.redriveEvent`, { position: delivery.position });
    } else await callAction(ctx, `${service}.redriveMessage`, { message: delivery.message });
    return undefined;
  } catch (error) {
    const { type: code, message } = factsOf(error);
    return { code, message: message.slice(0, 1_000) };
  }
}

/** What became of each letter, who asked for it and the answer under the key: in one transaction. */
async function settle(
  database: Database,
  params: Redrive["params"],
  body: RedriveAnswer,
): Promise<Redrive["result"]> {
  const { actor, reason, idempotency: claim } = params;
  const answer = { status: 200, headers: {}, body };
  const delivered = body.redriven.map((letterId) => ({ letterId, error: null }));
  const tried = body.failed
    .filter(({ error }) => error !== NOT_TRIED)
    .map(({ letterId, error }) => ({ letterId, error: error.code }));
  await withTransaction(database, async (tx) => {
    settleLetters(tx, [...delivered, ...tried]);
    for (const { letterId: targetId, error } of [...delivered, ...tried]) {
      const result = error ?? "done";
      recordDeed(tx, { actor, action: "redrive", targetType: "dead-letter", targetId, reason, result });
    }
    if (claim === undefined) return;
    const first = await claimKeys(tx, [{ claim, answer }], config().IDEMPOTENCY_HOURS);
    if (first.size === 0) throw new RequestInProgressError(1);
  });
  return { replayed: false, ...answer };
}
