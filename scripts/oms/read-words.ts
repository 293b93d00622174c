import { parseArgs } from "node:util";
import { UsageError } from "../usage-error.ts";
import type { Option, Verb, Words } from "./verb.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const LIMIT_MAX = 10_000;
const REASON_MIN = 3;

/** What every verb takes. */
const COMMON: Readonly<Record<string, Option>> = {
  json: { about: "print the answer as JSON" },
  help: { about: "say what the verb does" },
};

export interface Read {
  readonly verb: Verb;
  readonly words: Words;
  readonly json: boolean;
  readonly help: boolean;
}

/** @throws UsageError says what is wrong, and how the verb is used */
export function readWords(verbs: readonly Verb[], given: readonly string[]): Read {
  const [name = "", ...rest] = given;
  const verb = verbs.find((one) => one.name === name);
  if (verb === undefined) throw new UsageError(`there is no verb "${name}"\n${overview(verbs)}`);
  const { positionals: ids, values } = parse(verb, rest);
  const { json = false, help = false, ...options } = values;
  const words: Words = { ids: ids.map((id) => id.toLowerCase()), options };
  const read = { verb, words, json: json === true, help: help === true };
  const problem = read.help ? undefined : problemOf(verb, words);
  if (problem !== undefined) throw new UsageError(`${problem}\n${usage(verb)}`);
  return read;
}

function parse(verb: Verb, args: readonly string[]) {
  const entries = Object.entries({ ...verb.options, ...COMMON }).map(
    ([name, { value }]) => [name, { type: value === undefined ? "boolean" : "string" }] as const,
  );
  try {
    const parsed = parseArgs({
      args: [...args],
      options: Object.fromEntries(entries),
      allowPositionals: true,
    });
    // Switches hold true, or are not there.
    return { ...parsed, values: parsed.values as Record<string, string | true> };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${usage(verb)}`);
  }
}

function problemOf(verb: Verb, words: Words): string | undefined {
  const { ids, options } = words;
  const { min, max } = verb.ids ?? { min: 0, max: 0 };
  if (ids.length < min) return "an id is missing";
  if (ids.length > max)
    return max === 0 ? `"${ids[0]}" is too much: it takes no id` : "that are too many ids";
  const odd = ids.find((id) => !UUID.test(id));
  if (odd !== undefined) return `"${odd}" is not an id`;
  const missing = Object.entries(verb.options ?? {}).find(
    ([name, { required }]) => required && options[name] === undefined,
  );
  if (missing) return `--${missing[0]} is missing`;
  const { limit, reason } = options;
  if (
    limit !== undefined &&
    !(/^\d{1,6}$/.test(String(limit)) && Number(limit) >= 1 && Number(limit) <= LIMIT_MAX)
  )
    return `--limit: "${limit}" is not a whole number from 1 to ${LIMIT_MAX}`;
  if (typeof reason === "string" && reason.trim().length < REASON_MIN)
    return `--reason: say it in at least ${REASON_MIN} characters`;
  return verb.check?.(words);
}

/** One line on how a verb is written. */
export function usageLine({ name, ids, options = {} }: Verb): string {
  const id = ids === undefined ? [] : [idsUsage(ids)];
  const shown = Object.entries(options).map(([option, { value, required }]) => {
    const text = value === undefined ? `--${option}` : `--${option} ${value}`;
    return required ? text : `[${text}]`;
  });
  return [name, ...id, ...shown].join(" ");
}

function idsUsage({ min, max }: { min: number; max: number }): string {
  const name = max > 1 ? "ID …" : "ID";
  return min > 0 ? name : `[${name}]`;
}

/** All there is to say of a verb. */
export function usage(verb: Verb): string {
  const options = Object.entries({ ...verb.options, ...COMMON }).map(([name, { value, about }]) => {
    const text = value === undefined ? `--${name}` : `--${name} ${value}`;
    return `  ${text.padEnd(22)} ${about}`;
  });
  const more = verb.more === undefined ? [] : ["", ...verb.more.split("\n")];
  return [`usage: ${usageLine(verb)}`, "", verb.summary, ...more, "", ...options].join("\n");
}

/** Every verb with its line. */
export function overview(verbs: readonly Verb[]): string {
  const lines = verbs.map(({ name, summary }) => `  ${name.padEnd(14)} ${summary}`);
  return ["usage: npm run oms -- <verb> [ID …] [options]", "", ...lines, "", ENDING].join("\n");
}

const ENDING = `  help [VERB]    this, or all about one verb

It asks the gateway that OMS_URL names with the operator's token OMS_TOKEN (or OMS_TOKEN_FILE); without them the demo that
runs in this folder. exit code: 0 done, 1 refused or not found, 2 wrong usage, 3 cannot reach`;
