import { randomBytes } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { newKeyRing, openKeyRing, parseKeyRing } from "../../lib/personal-data/key-ring.ts";
import { createPersonalData, isCiphertext, type Place } from "../../lib/personal-data/personal-data.ts";

/** Personal data comes back as it went in, where it belongs and with its key; and in no other way. */

const key = () => randomBytes(32).toString("base64url");
const OLD = { id: "2025", key: key() };
const NEW = { id: "2026", key: key() };
const index = key();
const ring = (primary: string, ...keys: readonly { id: string; key: string }[]) =>
  parseKeyRing(
    JSON.stringify({ primary, keys: Object.fromEntries(keys.map((one) => [one.id, one.key])), index }),
    "a test's ring",
  );
const before = createPersonalData(ring(OLD.id, OLD));
const between = createPersonalData(ring(NEW.id, NEW, OLD));
const after = createPersonalData(ring(NEW.id, NEW));

const PLACE: Place = { column: "orders.shipping_address", rowId: "01990000-0000-7000-8000-0000000000f1" };
const INVALID = { type: "PERSONAL_DATA_INVALID", code: 500 };
const thrown = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

test("any text comes back, also from another process, and never looks the same twice", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (text) => {
      const [one, other] = [before.encrypt(PLACE, text), before.encrypt(PLACE, text)];
      expect(isCiphertext(one)).toBe(true);
      expect(one).not.toBe(other);
      expect(createPersonalData(ring(OLD.id, OLD)).decrypt(PLACE, one)).toBe(text);
      expect(before.decrypt(PLACE, other)).toBe(text);
    }),
  );
});

test("a ciphertext is of no use in another row or column", () => {
  const ciphertext = before.encrypt(PLACE, "12 High Street");
  const moved: readonly Place[] = [
    { ...PLACE, rowId: "01990000-0000-7000-8000-0000000000f2" },
    { ...PLACE, column: "customers.name" },
  ];
  for (const place of moved) expect(thrown(() => before.decrypt(place, ciphertext))).toMatchObject(INVALID);
});

test("whatever character of it is altered, it is not read", () => {
  const ciphertext = before.encrypt(PLACE, "12 High Street");
  // The last character of base64 may hold bits that mean nothing.
  const anywhere = fc.integer({ min: 0, max: ciphertext.length - 2 });
  fc.assert(
    fc.property(anywhere, fc.constantFrom("A", "7", ".", "é"), (at, by) => {
      const altered = ciphertext.slice(0, at) + by + ciphertext.slice(at + 1);
      fc.pre(altered !== ciphertext);
      const type = expect.stringMatching(/^PERSONAL_DATA_(INVALID|KEY_MISSING)$/);
      expect(thrown(() => before.decrypt(PLACE, altered))).toMatchObject({ type });
    }),
  );
});

test("two keys live while one replaces the other: rewrapping changes the wrapping alone", () => {
  const old = before.encrypt(PLACE, "12 High Street");
  expect(between.decrypt(PLACE, old)).toBe("12 High Street");
  expect(thrown(() => after.decrypt(PLACE, old))).toMatchObject({
    type: "PERSONAL_DATA_KEY_MISSING",
    code: 503,
    retryable: true,
  });
  const rewrapped = between.rewrap(old) ?? "";
  expect(rewrapped.split(".")).toEqual(["p1", NEW.id, expect.any(String), old.split(".")[3]]);
  expect(after.decrypt(PLACE, rewrapped)).toBe("12 High Street");
  expect(between.rewrap(rewrapped)).toBeUndefined();
  expect(between.rewrap(between.encrypt(PLACE, "new"))).toBeUndefined();
});

test("a wrapped data key under the id of another key is not taken", () => {
  const swapped = before.encrypt(PLACE, "x").replace(`p1.${OLD.id}.`, `p1.${NEW.id}.`);
  expect(thrown(() => between.decrypt(PLACE, swapped))).toMatchObject(INVALID);
});

test("a data key serves for so many encryptions and so long", () => {
  const wrappedOf = (ciphertext: string) => ciphertext.split(".")[2];
  const often = createPersonalData(ring(OLD.id, OLD), { encryptionsMax: 2 });
  const wrapped = [1, 2, 3, 4, 5].map(() => wrappedOf(often.encrypt(PLACE, "x")));
  expect(new Set(wrapped).size).toBe(3);
  const aging = createPersonalData(ring(OLD.id, OLD), { ageMsMax: 0 });
  expect(wrappedOf(aging.encrypt(PLACE, "x"))).not.toBe(wrappedOf(aging.encrypt(PLACE, "x")));
});

test("the blind index is the same for the same text of a column, under one key", () => {
  const one = before.blindIndex("customers.email", "ada@example.org");
  expect(after.blindIndex("customers.email", "ada@example.org")).toBe(one);
  expect(before.blindIndex("customers.email", "eve@example.org")).not.toBe(one);
  expect(before.blindIndex("customers.name", "ada@example.org")).not.toBe(one);
  const other = createPersonalData(parseKeyRing(newKeyRing("x"), "another ring"));
  expect(other.blindIndex("customers.email", "ada@example.org")).not.toBe(one);
});

describe("a key ring", () => {
  const good = { primary: "a", keys: { a: OLD.key }, index };

  test("is read from its file, or from the setting itself", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "key-ring-")), "ring.json");
    writeFileSync(file, newKeyRing("a"));
    expect((await openKeyRing(file)).primary).toBe("a");
    expect((await openKeyRing(newKeyRing("b"))).primary).toBe("b");
  });

  test.each<[string, string | undefined]>([
    ["none", undefined],
    ["a file that is not there", "/nowhere/ring.json"],
    ["no JSON", `{"keys": {"a": "${OLD.key}"`],
    ["no keys", JSON.stringify({ ...good, keys: {} })],
    ["a primary that is not there", JSON.stringify({ ...good, primary: "b" })],
    ["a key that is too short", JSON.stringify({ ...good, keys: { a: OLD.key.slice(1) } })],
    ["a key that is no text", JSON.stringify({ ...good, keys: { a: 17 } })],
    ["a key id with a dot", JSON.stringify({ primary: "a.b", keys: { "a.b": OLD.key }, index })],
    ["no index key", JSON.stringify({ ...good, index: undefined })],
    ["an index key that encrypts too", JSON.stringify({ ...good, index: OLD.key })],
  ])("%s: a wrong setting, told without a key", async (_what, source) => {
    const error = await openKeyRing(source).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ type: "CONFIG_INVALID", setting: "PERSONAL_DATA_KEYS" });
    expect(String(error)).not.toContain(OLD.key.slice(1, 20));
  });
});
