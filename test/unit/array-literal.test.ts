import fc from "fast-check";
import pg from "pg";
import { ArrayParameter, arrayLiteral } from "../../lib/array-literal.ts";

/** As pg sends and reads arrays of text. */
const read = pg.types.getTypeParser(1009 as never) as (text: string) => (string | null)[];
const { prepareValue } = require("pg/lib/utils") as { prepareValue(value: unknown): string };

test("what is plain stands there as it is, and all else in quotes", () => {
  expect(arrayLiteral(["0198a000-0000-7000-8000-000000000009", "CREATE_ORDER", 3, true, null])).toBe(
    "{0198a000-0000-7000-8000-000000000009,CREATE_ORDER,3,true,NULL}",
  );
  expect(arrayLiteral(["null", "NULL", "", 'a"b', "c\\d", "e,f", "{}", " g"])).toBe(
    '{"null","NULL","","a\\"b","c\\\\d","e,f","{}"," g"}',
  );
  expect(arrayLiteral([])).toBe("{}");
});

test("dates, buffers and arrays of arrays are left to pg", () => {
  for (const other of [new Date(), Buffer.from("a"), ["a"], {}])
    expect(arrayLiteral([other])).toBeUndefined();
});

test("it is read as what pg would have sent", () => {
  const element = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("null", "NULL", "Null", "\\", '"', "a\nb", "é", "true"),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.constant(undefined),
  );
  fc.assert(
    fc.property(fc.array(element), (values) => {
      expect(read(prepareValue(new ArrayParameter(values)))).toEqual(read(prepareValue(values)));
    }),
    { numRuns: 1_000 },
  );
});
