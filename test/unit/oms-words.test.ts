import { readWords, usage, usageLine } from "../../scripts/oms/read-words.ts";
import { speak } from "../../scripts/oms/speak.ts";
import type { Verb } from "../../scripts/oms/verb.ts";
import { VERBS } from "../../scripts/oms/verbs.ts";

/** What operators type, read without anybody to ask. */

const ID = "01990000-0000-7000-8000-0000000000a1";
const read = (...words: string[]) => readWords(VERBS, words);
const why = ["--reason", "the cause is mended"];

test.each([
  [["sagas"], { ids: [], options: {} }],
  [["sagas", "--state", "STUCK", "--limit=5"], { ids: [], options: { state: "STUCK", limit: "5" } }],
  [["saga", ID.toUpperCase()], { ids: [ID], options: {} }],
  [["retry", ID, ...why], { ids: [ID], options: { reason: why[1] } }],
  [["retry", ...why, ID], { ids: [ID], options: { reason: why[1] } }],
  [["redrive", ID, ID, ...why], { ids: [ID, ID], options: { reason: why[1] } }],
  [["discard", "--all", ...why], { ids: [], options: { all: true, reason: why[1] } }],
  [["dlq", "--code", "EVENT_INVALID"], { ids: [], options: { code: "EVENT_INVALID" } }],
])("%j is understood", (words, expected) => {
  expect(read(...words)).toMatchObject({ verb: { name: words[0] }, words: expected, json: false });
});

test.each([
  [["sags"], /no verb "sags"/],
  [[], /no verb ""/],
  [["saga"], /an id is missing/],
  [["saga", "42"], /"42" is not an id/],
  [["saga", ID, ID], /too many ids/],
  [["stuck", ID], /takes no id/],
  [["retry", ID], /--reason is missing/],
  [["retry", ID, "--reason", " x "], /at least 3 characters/],
  [["retry", ID, "--reason"], /argument missing|'--reason <value>'/],
  [["sagas", "--limit", "0"], /--limit: "0"/],
  [["sagas", "--limit", "many"], /--limit: "many"/],
  [["sagas", "--stat", "STUCK"], /--stat/],
  [["redrive", ...why], /name letters, or a kind of them, or --all/],
  [["redrive", ID, "--all", ...why], /name letters/],
  [["discard", "--all", "--code", "X", ...why], /name letters/],
])("%j is refused", (words, problem) => {
  expect(() => read(...words)).toThrow(problem);
});

test.each(VERBS.map((verb) => [verb.name, verb] as const))("%s says how it is used", (name, verb: Verb) => {
  const said = usage(verb);
  expect(said).toContain(`usage: ${usageLine(verb)}`);
  for (const option of Object.keys(verb.options ?? {})) expect(said).toContain(`--${option}`);
  expect(read(name, "--help")).toMatchObject({ help: true });
});

test("help needs nobody to ask, and a wrong word says what there is", async () => {
  const out: string[] = [];
  const err: string[] = [];
  const mouth = { out: (text: string) => out.push(text), err: (text: string) => err.push(text) };
  const nobody = () => {
    throw new Error("nobody is to be asked");
  };
  const codes = [];
  for (const words of [["help"], ["--help"], ["help", "retry"], ["retry", "--help"], [], ["reedrive"]])
    codes.push(await speak(words, nobody, mouth));
  expect(codes).toEqual([0, 0, 0, 0, 2, 2]);
  for (const { name } of VERBS) expect(out[0]).toContain(name);
  expect(err.join("\n")).toContain('no verb "reedrive"');
});
