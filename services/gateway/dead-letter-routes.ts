import { pageOf } from "./contract/json-schema.ts";
import * as views from "./contract/operator-views.ts";
import { type Route, route } from "./contract/route.ts";
import {
  choiceBody,
  dealWith,
  getDeadLetter,
  groupDeadLetters,
  LETTER_QUERY,
  listDeadLetters,
} from "./dead-letters.ts";

const looking = { tag: "operations", method: "GET", roles: ["operator"], status: 200 } as const;
const doing = { ...looking, method: "POST", key: "optional", body: choiceBody } as const;
const CHOICE =
  "Those named in `letterIds`, or a hundred open ones of a kind (`source`, `topic`, `eventType`, `code`), or of `all`: those that were tried least first, then the oldest.";

/** /ops/dead-letters: what could not be taken, and what becomes of it. */
export const DEAD_LETTER_ROUTES: readonly Route[] = [
  route({
    ...looking,
    id: "listDeadLetters",
    summary: "List dead letters, newest first",
    path: "/ops/dead-letters",
    action: "saga.deadLetters",
    answer: pageOf(views.deadLetter),
    query: LETTER_QUERY,
    problems: ["CURSOR_INVALID"],
    handle: listDeadLetters,
  }),
  route({
    ...looking,
    id: "groupDeadLetters",
    summary: "Count open dead letters by their reason",
    more: "A reason is an error's code, a topic and who put the messages aside; at most a hundred of them, the most frequent first.",
    path: "/ops/dead-letters/groups",
    action: "saga.deadLetterGroups",
    answer: views.deadLetterGroups,
    handle: groupDeadLetters,
  }),
  route({
    ...looking,
    id: "getDeadLetter",
    summary: "Look at a dead letter and the message that it carries",
    path: "/ops/dead-letters/:letterId",
    action: "saga.deadLetter",
    answer: views.deadLetterDetails,
    problems: ["LETTER_NOT_FOUND"],
    handle: getDeadLetter,
  }),
  route({
    ...doing,
    id: "redriveDeadLetters",
    summary: "Deliver dead letters again",
    more: `${CHOICE} To deliver one twice is harmless.`,
    path: "/ops/dead-letters/redrive",
    action: "saga.redrive",
    answer: views.redriveAnswer,
    handle: dealWith("saga.redrive", "POST /ops/dead-letters/redrive"),
  }),
  route({
    ...doing,
    id: "discardDeadLetters",
    summary: "Put dead letters away that nobody is going to deliver",
    more: `${CHOICE} A refused event of an outbox cannot be put away: later events of its aggregate wait behind it.`,
    path: "/ops/dead-letters/discard",
    action: "saga.discard",
    answer: views.discardAnswer,
    handle: dealWith("saga.discard", "POST /ops/dead-letters/discard"),
  }),
];
