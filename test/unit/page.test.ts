import fc from "fast-check";
import { pageOf, readCursor } from "../../lib/page.ts";

const rowsOf = (ids: readonly string[]) => ids.map((id) => ({ id }));

test("a page with nothing after it has no cursor", () => {
  const rows = rowsOf(["a", "b"]);
  expect(pageOf(rows, 2)).toEqual({ rows });
  expect(pageOf([], 2)).toEqual({ rows: [] });
});

test("one row more than asked for means another page, and is not shown", () => {
  const page = pageOf(rowsOf(["a", "b", "c"]), 2);
  expect(page.rows).toEqual(rowsOf(["a", "b"]));
  expect(page.nextCursor).toEqual(expect.any(String));
});

test("the cursor names the last row shown", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.uuid(), { minLength: 2, maxLength: 20 }),
      fc.integer({ min: 1, max: 19 }),
      (ids, limit) => {
        const { rows, nextCursor } = pageOf(rowsOf(ids), limit);
        if (ids.length <= limit) expect(nextCursor).toBeUndefined();
        else expect(readCursor(nextCursor ?? "")).toBe(rows.at(-1)?.id);
      },
    ),
  );
});

test("following the cursors shows every row once, in order", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.uuid(), { maxLength: 30 }),
      fc.integer({ min: 1, max: 7 }),
      (ids, limit) => {
        const sorted = [...ids].sort();
        const seen: string[] = [];
        let after = "";
        for (let pages = 0; pages <= sorted.length; pages += 1) {
          const found = sorted.filter((id) => id > after).slice(0, limit + 1);
          const { rows, nextCursor } = pageOf(rowsOf(found), limit);
          seen.push(...rows.map(({ id }) => id));
          if (nextCursor === undefined) break;
          after = readCursor(nextCursor);
        }
        expect(seen).toEqual(sorted);
      },
    ),
  );
});

test("a cursor that is not ours is refused with the cursor in its data", () => {
  for (const cursor of ["", "x", "!!!", Buffer.from("1 or 1=1").toString("base64url")]) {
    expect(() => readCursor(cursor)).toThrow(
      expect.objectContaining({ type: "CURSOR_INVALID", code: 422, data: { cursor } }),
    );
  }
});

test("no text whatever but an id's makes a cursor", () => {
  const notAnId = fc.string().filter((text) => !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text));
  fc.assert(
    fc.property(notAnId, (text) => {
      expect(() => readCursor(Buffer.from(text).toString("base64url"))).toThrow(
        expect.objectContaining({ type: "CURSOR_INVALID" }),
      );
    }),
  );
});
