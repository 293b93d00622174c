import type { Actions } from "../../lib/actions.ts";
import { config } from "../../lib/config.ts";
import { type Database, withTransaction } from "../../lib/database.ts";
import { RequestInProgressError } from "../../lib/errors.ts";
import type { DiscardAnswer, FailedLetter } from "../../lib/operator-contracts.ts";
import { claimKeys } from "../../mixins/idempotency.store.ts";
import { discardOpen, type StoredLetter } from "./dead-letters.store.ts";
import { chosenLetters } from "./letter-choice.ts";
import { recordDeed } from "./operations.store.ts";

type Discard = Actions["saga.discard"];

const NOT_OPEN = { code: "LETTER_NOT_OPEN", message: "It was dealt with before." };
const BLOCKS = {
  code: "EVENT_BLOCKS_AGGREGATE",
  message: "Later events of its aggregate wait behind it: it can only be delivered again.",
};

/**
 * Puts letters away for good. What they carry is not delivered; whoever waits for it gives up by its own time. The
 * letters, who asked for it and the answer under the key: in one transaction.
 */
export async function discardLetters(
  database: Database,
  params: Discard["params"],
): Promise<Discard["result"]> {
  const { actor, reason, idempotency: claim } = params;
  const { letters, missing } = await chosenLetters(database, params);
  return withTransaction(database, async (tx) => {
    const discarded = new Set(
      await discardOpen(
        tx,
        letters.map(({ id }) => id),
      ),
    );
    const refused = letters.filter(({ id }) => !discarded.has(id)).map(refusalOf);
    const body: DiscardAnswer = { discarded: [...discarded], failed: [...refused, ...missing] };
    const answer = { status: 200, headers: {}, body };
    for (const targetId of discarded)
      recordDeed(tx, { actor, action: "discard", targetType: "dead-letter", targetId, reason });
    for (const { letterId: targetId, error } of refused) {
      const result = error.code;
      recordDeed(tx, { actor, action: "discard", targetType: "dead-letter", targetId, reason, result });
    }
    const first = claim && (await claimKeys(tx, [{ claim, answer }], config().IDEMPOTENCY_HOURS));
    // Somebody else claimed it since we looked: what they did is what there is to answer.
    if (first?.size === 0) throw new RequestInProgressError(1);
    return { replayed: false, ...answer };
  });
}

function refusalOf({ id, view }: StoredLetter): FailedLetter {
  return { letterId: id, error: view.status === "OPEN" && view.source === "outbox" ? BLOCKS : NOT_OPEN };
}
