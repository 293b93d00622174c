import fc from "fast-check";
import type { Header } from "./draft.ts";
import type { Operation } from "./operations.ts";

/** Headers as an operation takes them, and others. */

type Headers = Record<string, Header>;

const visible = (length: fc.Arbitrary<number>) => length.map((count) => "~k!".repeat(85).slice(0, count));
const freshKeys = fc.uuid();

export function keys({ headers }: Operation): fc.Arbitrary<Headers> {
  const described = headers.find(({ name }) => name === "Idempotency-Key");
  if (described === undefined) return fc.constant({});
  const key: fc.Arbitrary<Header> = fc.oneof(
    { weight: 12, arbitrary: freshKeys },
    { weight: 2, arbitrary: fc.nat({ max: 9 }).map((which) => `shared-${which}`) },
    { weight: 1, arbitrary: fc.uuid().map((id) => id.padEnd(255, "~")) },
    { weight: 1, arbitrary: freshKeys.map((id) => `"${id}"`) },
    ...(described.required ? [] : [{ weight: 4, arbitrary: fc.constant(undefined) }]),
  );
  return key.map((value) => ({ "idempotency-key": value }));
}

export const strangeKeys: fc.Arbitrary<Headers> = fc
  .oneof(
    fc.constantFrom<Header>(
      undefined,
      "",
      " ",
      "a b",
      "k\u00e9y",
      '"',
      '"open',
      '""',
      "\u0080",
      ["one", "two"],
      ["one", "one"],
    ),
    visible(fc.constantFrom(1, 254, 255)),
    fc.constant(undefined),
    fc.constant("k".repeat(256)),
    fc.constant("k".repeat(5_000)),
  )
  .map((value) => ({ "idempotency-key": value }));

export function types({ body }: Operation): fc.Arbitrary<Headers> {
  if (body === undefined) return fc.constant({ "content-type": undefined });
  const good = fc.constantFrom("application/json", "application/json", "Application/JSON; charset=UTF-8");
  return good.map((type) => ({ "content-type": type }));
}

export const strangeTypes: fc.Arbitrary<Headers> = fc
  .constantFrom<Header>(
    undefined,
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json, text/html",
    "application/merge-patch+json",
    "application/jsonx",
  )
  .map((type) => ({ "content-type": type }));

export const otherHeaders: fc.Arbitrary<Headers> = fc.record(
  {
    "x-correlation-id": fc.constantFrom(
      "12345678-abcd",
      "x",
      "a".repeat(65),
      "a\tb-12345678",
      "<script>12345678",
    ),
    "if-none-match": fc.constantFrom("*", '"x"', 'W/"x", "y"', ",,,", '"'.repeat(200)),
    prefer: fc.constantFrom("wait=0", "wait=", "wait=-1", "wait=1e9", "respond-async", "wait=99999999999"),
    "x-forwarded-for": fc.constantFrom("10.0.0.1", "::1, 10.0.0.1", "not an address", "1.2.3.4,".repeat(100)),
    "x-http-method-override": fc.constantFrom("DELETE", "GET"),
    "accept-encoding": fc.constantFrom("gzip, br", "*;q=0"),
    "last-event-id": fc.constantFrom("", "0", "1", "-1", "9".repeat(30), "1e3", "\u00e9", "x".repeat(300)),
    accept: fc.constantFrom("text/html", "application/xml;q=0.1"),
    traceparent: fc.constantFrom("00-0", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, "x".repeat(500)),
    "x-psp-signature": fc.constantFrom(
      "t=1,v1=00",
      "t=,v1=",
      "v1",
      `t=${"9".repeat(400)},v1=ff`,
      "t=NaN,v1=zz",
    ),
    "stripe-signature": fc.constantFrom("t=1,v1=00", "=", ""),
  },
  { requiredKeys: [], noNullPrototype: true },
);
