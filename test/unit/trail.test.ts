import type { TrailEntry } from "../../lib/operator-contracts.ts";
import type { DatabaseName } from "../../lib/settings.ts";
import { newestFirst } from "../../services/gateway/trail.ts";

/** Several trails as one. */

const entry = (service: DatabaseName, sequence: number, second: number): TrailEntry => ({
  service,
  sequence,
  at: `2026-01-31T12:00:${String(second).padStart(2, "0")}.000Z`,
  actor: "somebody",
  action: "order.ship",
  target: "order 1",
  detail: {},
  hash: "",
});
const named = (entries: readonly TrailEntry[]) =>
  entries.map(({ service, sequence }) => `${service} ${sequence}`);

test("entries of several services come by their times", () => {
  const trails = [
    [entry("order", 3, 30), entry("order", 2, 10)],
    [],
    [entry("saga", 7, 20), entry("saga", 6, 5)],
  ];
  expect(named(newestFirst(trails))).toEqual(["order 3", "saga 7", "order 2", "saga 6"]);
});

test("a service's own order stands, also where its clock was set back", () => {
  const trails = [[entry("order", 3, 1), entry("order", 2, 30)], [entry("saga", 7, 20)]];
  expect(named(newestFirst(trails))).toEqual(["saga 7", "order 3", "order 2"]);
});
