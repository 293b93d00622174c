import fc from "fast-check";
import {
  canonicalJson,
  claimOf,
  parseIdempotencyKey,
  requestHash,
} from "../../services/gateway/idempotency-key.ts";

/** The key is what a client retries under: two spellings of one key must meet, and no unusable one may pass. */

const refusal = (header: string | string[] | undefined) => {
  try {
    parseIdempotencyKey(header);
    return undefined;
  } catch (error) {
    return (error as { type: string }).type;
  }
};

test("a plain key and the same key as a quoted string are one key", () => {
  expect(parseIdempotencyKey("order-17")).toBe("order-17");
  expect(parseIdempotencyKey('"order-17"')).toBe("order-17");
  expect(parseIdempotencyKey(String.raw`"a\"b\\c"`)).toBe(String.raw`a"b\c`);
});

test("a missing header is told apart from one that cannot be used", () => {
  expect(refusal(undefined)).toBe("IDEMPOTENCY_KEY_MISSING");
  expect(refusal("")).toBe("IDEMPOTENCY_KEY_INVALID");
});

test.each([
  ["an empty string", '""'],
  ["256 characters", "k".repeat(256)],
  ["256 characters in quotes", `"${"k".repeat(256)}"`],
  ["a space", "a b"],
  ["a space in quotes", '"a b"'],
  ["a control character", "a\u0001"],
  ["a letter beyond ASCII", "clé"],
  ["an open quote", '"abc'],
  ["parameters", '"abc";v=1'],
  ["an unknown escape", String.raw`"a\b"`],
  ["a repeated header, as Node joins it", "one, two"],
])("%s is refused", (_what, header) => {
  expect(refusal(header)).toBe("IDEMPOTENCY_KEY_INVALID");
});

test("a header that arrives as a list is refused", () => {
  expect(refusal(["one", "two"])).toBe("IDEMPOTENCY_KEY_INVALID");
});

test("every visible ASCII key of 1 to 255 characters passes, plain and quoted", () => {
  const visible = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 255,
  });
  fc.assert(
    fc.property(visible, (key) => {
      const quoted = `"${key.replace(/["\\]/g, (one) => `\\${one}`)}"`;
      expect(parseIdempotencyKey(quoted)).toBe(key);
      if (!key.startsWith('"')) expect(parseIdempotencyKey(key)).toBe(key);
    }),
  );
});

test("the order of fields does not change the hash, the order of list items does", () => {
  expect(requestHash({ a: 1, b: { c: 2, d: 3 } })).toBe(requestHash({ b: { d: 3, c: 2 }, a: 1 }));
  expect(requestHash({ items: [1, 2] })).not.toBe(requestHash({ items: [2, 1] }));
  expect(requestHash({ a: undefined })).toBe(requestHash({}));
});

test("canonical JSON is JSON of the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("a claim names subject, key, operation and request", () => {
  expect(claimOf("someone", "POST /orders", '"k"', { a: 1 })).toEqual({
    subject: "someone",
    key: "k",
    operation: "POST /orders",
    requestHash: "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862",
  });
});
