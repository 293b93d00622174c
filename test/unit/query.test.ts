import { instant, oneOf, readQuery, token, uuid, wholeNumber } from "../../services/gateway/query.ts";
import { waitSecondsOf } from "../../services/gateway/request.ts";

const readers = {
  status: oneOf(["draft", "created"]),
  from: instant,
  limit: wholeNumber(1, 100),
  cursor: token(10),
  customerId: uuid,
};
const fieldsRefused = (query: Record<string, unknown>) => {
  try {
    readQuery(query, readers);
    return [];
  } catch (error) {
    return (error as { data: { errors: { field: string }[] } }).data.errors.map((one) => one.field);
  }
};

test("a query is read by its readers", () => {
  const query = {
    status: "draft",
    from: "2026-01-31T12:00:00+02:00",
    limit: "7",
    cursor: "abc",
    customerId: "01990000-0000-7000-8000-0000000000C1",
  };
  expect(readQuery(query, readers)).toEqual({
    status: "draft",
    from: "2026-01-31T10:00:00.000Z",
    limit: 7,
    cursor: "abc",
    customerId: "01990000-0000-7000-8000-0000000000c1",
  });
  expect(readQuery({}, readers)).toEqual({});
  expect(readQuery({ from: "2026-01-31" }, readers)).toEqual({ from: "2026-01-31T00:00:00.000Z" });
});

test.each([
  ["limit", "0"],
  ["limit", "101"],
  ["limit", "1.5"],
  ["limit", "1e1"],
  ["limit", " 1"],
  ["limit", ""],
  ["status", "DRAFT"],
  ["from", "yesterday"],
  ["from", "2026-13-01"],
  ["from", "2026-01-31T12:00:00"],
  ["from", "1"],
  ["cursor", "a b"],
  ["cursor", "a".repeat(11)],
  ["customerId", "17"],
  ["limit", ["1", "2"]],
  ["limit", { gt: "1" }],
  ["sort", "name"],
  ["constructor", "x"],
])("%s=%p is refused", (name, value) => {
  expect(fieldsRefused({ [name]: value })).toEqual([name]);
});

test.each([
  [undefined, 0],
  ["", 0],
  ["wait=5", 5],
  ["respond-async, wait=5", 5],
  ['WAIT = "5"; foo', 5],
  ["wait=31", 30],
  ["wait=999999", 30],
  ["wait=-1", 0],
  ["wait=1.5", 0],
  ["await=5", 0],
  ["wait", 0],
])("Prefer: %s waits %d s", (prefer, seconds) => {
  expect(waitSecondsOf({ prefer })).toBe(seconds);
});
