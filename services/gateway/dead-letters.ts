import { InvalidInputError } from "../../lib/errors.ts";
import type { LetterChoice } from "../../lib/operator-contracts.ts";
import { bodyReader, text, uuid } from "./body-schema.ts";
import { claimIfKeyed } from "./idempotency-key.ts";
import { reason } from "./operations.ts";
import { oneOf, PAGE, type QueryOf, token } from "./query.ts";
import { type ApiRequest, answerOf, type Call, idIn, ok, type Reply } from "./request.ts";

/** What operators look at and do about messages that nobody could take: /ops/dead-letters. */

export const LETTER_QUERY = {
  status: oneOf(["OPEN", "REDRIVEN", "DISCARDED"]),
  source: token(255),
  topic: token(255),
  eventType: token(255),
  code: token(255),
  ...PAGE,
};

interface ChoiceBody extends LetterChoice {
  readonly reason: string;
}

const kind = { ...text(255), optional: true };
export const choiceBody = bodyReader<ChoiceBody>(
  {
    letterIds: { type: "array", items: uuid, min: 1, max: 100, unique: true, optional: true },
    source: kind,
    topic: kind,
    eventType: kind,
    code: kind,
    all: { type: "boolean", optional: true },
    reason,
  },
  { eventType: "RESERVE_STOCK", reason: "the cause is mended" },
);

/** GET /ops/dead-letters */
export async function listDeadLetters(
  { query }: ApiRequest<undefined, QueryOf<typeof LETTER_QUERY>>,
  call: Call,
): Promise<Reply> {
  return ok(await call("saga.deadLetters", query));
}

/** GET /ops/dead-letters/groups */
export async function groupDeadLetters(_: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("saga.deadLetterGroups", {}));
}

/** GET /ops/dead-letters/:letterId */
export async function getDeadLetter(request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("saga.deadLetter", { letterId: idIn(request, "letterId", "letter") }));
}

/** POST /ops/dead-letters/redrive and /discard: those named, those of a kind, or all that are open. */
export const dealWith =
  (action: "saga.redrive" | "saga.discard", operation: string) =>
  async (request: ApiRequest<ChoiceBody>, call: Call): Promise<Reply> => {
    const { body } = request;
    const { letterIds, source, topic, eventType, code, all } = body;
    const isKind = [source, topic, eventType, code].some((one) => one !== undefined);
    if ([letterIds !== undefined, isKind, all === true].filter(Boolean).length !== 1 || all === false) {
      const message = "Name letterIds, or what kind is meant (source, topic, eventType, code), or all.";
      throw new InvalidInputError([{ field: "letterIds", message }]);
    }
    const params = { ...body, ...(letterIds && { letterIds: letterIds.map((id) => id.toLowerCase()) }) };
    const claim = claimIfKeyed(request, operation, params);
    return answerOf(await call(action, { ...params, actor: request.principal.subject, ...claim }));
  };
