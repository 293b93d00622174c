import { correlationIdOf } from "../../services/gateway/correlation.ts";

/** The id is reflected in headers, logs and events: a caller chooses it only where it can do no harm there. */

test.each(["abcd1234", "A".repeat(64), "0190f3a2-7c1e-7000-8000-000000000001"])("%s is taken", (given) => {
  expect(correlationIdOf(given)).toBe(given);
});

test.each([
  ["none", undefined],
  ["an empty one", ""],
  ["a short one", "abc1234"],
  ["a long one", "A".repeat(65)],
  ["one with a line break", "abcd1234\r\nSet-Cookie: a=b"],
  ["one with markup", "<script>alert(1)</script>"],
  ["a list", ["abcd1234", "abcd1235"]],
])("%s is replaced by a new one", (_what, given) => {
  expect(correlationIdOf(given)).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});
