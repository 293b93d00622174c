import type {
  DeadLetterDetails,
  DeadLetterGroup,
  DeadLetterView,
  DiscardAnswer,
  FailedLetter,
  RedriveAnswer,
} from "../../lib/operator-contracts.ts";
import { newest, type OpsApi } from "./api.ts";
import { oneLine, reasonText, table, time } from "./render.ts";
import {
  firstOf,
  LIMIT,
  limitOf,
  type Option,
  type Outcome,
  REASON,
  textOf,
  type Verb,
  type Words,
} from "./verb.ts";

/** Dead letters: to look at, to deliver again, to put away. */

const KIND: Readonly<Record<string, Option>> = {
  code: { value: "CODE", about: "only those with this error" },
  topic: { value: "TOPIC", about: "only those of this topic" },
  source: { value: "GROUP", about: "only those that this group put aside; outbox: refused by the bus" },
  type: { value: "TYPE", about: "only those of this type of event" },
};
const kindOf = (words: Words) => ({
  code: textOf(words, "code"),
  topic: textOf(words, "topic"),
  source: textOf(words, "source"),
  eventType: textOf(words, "type"),
});
const hasKind = (words: Words) => Object.values(kindOf(words)).some((one) => one !== undefined);

/** Of one request. */
const LETTERS_MAX = 100;
/** Of one verb; the next one takes the next. */
const CHOSEN_MAX = 10_000;

const dlq: Verb = {
  name: "dlq",
  summary: "Count open dead letters by their reason; list them; or show one",
  ids: { min: 0, max: 1 },
  options: {
    list: { about: "list them, newest first, instead of counting" },
    status: { value: "STATUS", about: "OPEN, REDRIVEN or DISCARDED; implies --list" },
    ...KIND,
    limit: LIMIT,
  },
  more: "A reason is an error's code, a topic, and who put the message aside.",
  async run(api, words) {
    if (words.ids.length > 0) return showLetter(api, firstOf(words));
    const { list, status } = words.options;
    if (list || status || hasKind(words)) return listLetters(api, words);
    const { items } = await api.get<{ items: DeadLetterGroup[] }>("/ops/dead-letters/groups");
    const rows = items.map((group) => [
      group.letters,
      group.code,
      group.topic,
      group.source,
      group.eventTypes.join(","),
      time(group.oldestAt),
      time(group.newestAt),
    ]);
    const head = ["LETTERS", "CODE", "TOPIC", "SOURCE", "TYPES", "OLDEST", "NEWEST"];
    return { data: items, lines: items.length > 0 ? table(head, rows) : ["no dead letter is open"] };
  },
};

async function listLetters(api: OpsApi, words: Words): Promise<Outcome> {
  const query = { status: textOf(words, "status") ?? "OPEN", ...kindOf(words) };
  const found = await newest<DeadLetterView>(api, "/ops/dead-letters", query, limitOf(words));
  const rows = found.map(({ letterId, status, at, source, eventType, redrives, error }) => [
    letterId,
    status,
    time(at),
    source,
    eventType,
    redrives,
    reasonText(error),
  ]);
  const head = ["LETTER", "STATUS", "AT", "SOURCE", "TYPE", "REDRIVES", "ERROR"];
  return { data: found, lines: found.length > 0 ? table(head, rows) : ["there is none"] };
}

async function showLetter(api: OpsApi, id: string): Promise<Outcome> {
  const letter = await api.get<DeadLetterDetails>(`/ops/dead-letters/${id}`);
  const fields = Object.entries(letter).map(([name, value]) => {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    return `${name.padEnd(14)} ${name === "value" ? text : oneLine(text)}`;
  });
  return { data: letter, lines: fields.join("\n").split("\n").map(printable) };
}

/** A message may hold anything: what is no text is not sent to a terminal. */
const printable = (line: string) => line.replaceAll(/[\p{Cc}\p{Cf}]/gu, " ");

const CHOICE: Readonly<Record<string, Option>> = {
  ...KIND,
  all: { about: "all that are open" },
  reason: REASON,
};

function checkChoice(words: Words): string | undefined {
  const said = [words.ids.length > 0, hasKind(words), words.options.all === true].filter(Boolean).length;
  return said === 1 ? undefined : "name letters, or a kind of them, or --all";
}

/** The letters that are meant, the oldest first: what came first is delivered first. */
async function chosen(api: OpsApi, words: Words): Promise<string[]> {
  if (words.ids.length > 0) return [...words.ids];
  const query = { status: "OPEN", ...kindOf(words) };
  const found = await newest<DeadLetterView>(api, "/ops/dead-letters", query, CHOSEN_MAX);
  return found.map(({ letterId }) => letterId).toReversed();
}

interface Settled {
  readonly done: readonly string[];
  readonly failed: readonly FailedLetter[];
}

type Send = (letterIds: readonly string[]) => Promise<Settled>;

/** A hundred at a time, each once; those for which there was no time are sent again while others get on. */
async function inPortions(ids: readonly string[], send: Send): Promise<Settled> {
  const done: string[] = [];
  const failed: FailedLetter[] = [];
  let left = [...new Set(ids)];
  while (left.length > 0) {
    const answer = await send(left.slice(0, LETTERS_MAX));
    const late = answer.failed.filter(({ error }) => error.code === "NOT_TRIED");
    const isStuck = late.length === Math.min(left.length, LETTERS_MAX);
    done.push(...answer.done);
    failed.push(...answer.failed.filter((one) => isStuck || !late.includes(one)));
    left = [...(isStuck ? [] : late.map(({ letterId }) => letterId)), ...left.slice(LETTERS_MAX)];
  }
  return { done, failed };
}

function settledOutcome(word: string, { done, failed }: Settled): Outcome {
  const counts = new Map<string, number>();
  for (const { error } of failed) counts.set(error.code, (counts.get(error.code) ?? 0) + 1);
  const why = [...counts].map(([code, count]) => `${count} ${code}`).join(", ");
  const lines = [
    `${word}: ${done.length}${failed.length > 0 ? `, failed: ${failed.length} (${why})` : ""}`,
    ...failed.slice(0, 20).map(({ letterId, error }) => `  ${letterId}  ${reasonText(error)}`),
  ];
  return { data: { done, failed }, lines, ...(failed.length > 0 && { ending: "refused" as const }) };
}

const redrive: Verb = {
  name: "redrive",
  summary: "Deliver dead letters again: those named, those of a kind, or all",
  more: "Safe to repeat: what had its effect does not have it twice, and what is delivered is not open any more.",
  ids: { min: 0, max: CHOSEN_MAX },
  options: CHOICE,
  check: checkChoice,
  async run(api, words) {
    const reason = textOf(words, "reason");
    const settled = await inPortions(await chosen(api, words), async (letterIds) => {
      const path = "/ops/dead-letters/redrive";
      const { redriven, failed } = await api.post<RedriveAnswer>(path, { letterIds, reason });
      return { done: redriven, failed };
    });
    return settledOutcome("delivered", settled);
  },
};

const discard: Verb = {
  name: "discard",
  summary: "Put dead letters away that nobody is going to deliver",
  more: "What they carry never has its effect. A refused event of an outbox cannot be put away: later ones wait behind it.",
  ids: { min: 0, max: CHOSEN_MAX },
  options: CHOICE,
  check: checkChoice,
  async run(api, words) {
    const reason = textOf(words, "reason");
    const settled = await inPortions(await chosen(api, words), async (letterIds) => {
      const path = "/ops/dead-letters/discard";
      const { discarded, failed } = await api.post<DiscardAnswer>(path, { letterIds, reason });
      return { done: discarded, failed };
    });
    return settledOutcome("put away", settled);
  },
};

export const LETTER_VERBS: readonly Verb[] = [dlq, redrive, discard];
