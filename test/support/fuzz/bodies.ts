import fc from "fast-check";
import type { Body, Encoding } from "./draft.ts";
import type { Operation } from "./operations.ts";
import { fitting, nearlyFitting, textOf, wild } from "./values.ts";

/** Bodies as an operation takes them, and others. */

const inUtf8 = (text: string): Body => ({ text, encoding: "utf8" });

export function bodies({ body, tag }: Operation): fc.Arbitrary<Body> {
  if (body === undefined) return fc.constant(undefined);
  const right = fitting(body.schema).map((value) => inUtf8(ownIds(textOf(value), tag)));
  if (body.required) return right;
  return fc.oneof({ weight: 2, arbitrary: right }, { weight: 1, arbitrary: fc.constant<Body>(undefined) });
}

/** See ids in requests.ts. */
function ownIds(text: string, tag: string): string {
  return tag === "coordinators" ? text.replace(/@id:(?:gid|orderId):/g, "@id:foreign:") : text;
}

export function strangeBodies({ body, tag }: Operation): fc.Arbitrary<Body> {
  const schema = body?.schema ?? { type: "object" };
  const near = nearlyFitting(schema).map((value) => inUtf8(ownIds(textOf(value), tag)));
  const any = wild.map((value) => inUtf8(textOf(value)));
  const cut = fc.tuple(near, fc.nat({ max: 200 })).map(([one, at]) => inUtf8((one?.text ?? "").slice(0, at)));
  const encoded = fc
    .tuple(near, fc.constantFrom<Encoding>("latin1", "utf16le", "gzip"))
    .map(([one, encoding]): Body => ({ text: one?.text ?? "", encoding }));
  const doubled = near.map((one) => inUtf8(`${one?.text}${one?.text}`));
  return fc.oneof(
    { weight: 6, arbitrary: near },
    { weight: 2, arbitrary: any },
    { weight: 1, arbitrary: cut },
    { weight: 1, arbitrary: encoded },
    { weight: 1, arbitrary: doubled },
    { weight: 1, arbitrary: fc.constantFrom<Body>(...EXTREMES.map(inUtf8), undefined, BOMB) },
  );
}

const EXTREMES = [
  "",
  "\ufeff{}",
  "{}\u0000",
  "[".repeat(30_000),
  `${'{"a":'.repeat(8_000)}1${"}".repeat(8_000)}`,
  `"${"x".repeat(66_000)}"`,
  `{"reason":"${"x".repeat(64_000)}"}`,
  '{"items":[],"items":{}}',
  "{'items':[]}",
  "NaN",
  "undefined",
];
/** Some 60 KB that would be 4 MB. */
const BOMB: Body = { text: " ".repeat(4_000_000), encoding: "gzip" };
