import { validate, version } from "uuid";
import { uuidv7 } from "../../lib/ids.ts";

test("ids are UUIDs of version 7, each of its own and greater than the one before", () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, () => uuidv7());
  expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toEqual(ids.toSorted());
  const times = [ids[0], ids.at(-1)].map((id) =>
    Number.parseInt(id?.replace("-", "").slice(0, 12) ?? "", 16),
  );
  expect(times[0]).toBeGreaterThanOrEqual(before);
  expect(times[1]).toBeLessThanOrEqual(Date.now());
});

test("what nobody may guess differs in each, also in those of one millisecond", () => {
  const ends = Array.from({ length: 2_000 }, () => uuidv7().slice(-10));
  expect(new Set(ends).size).toBe(ends.length);
});
