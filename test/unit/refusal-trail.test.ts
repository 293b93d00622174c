import type { Refusal } from "../../lib/contracts.ts";
import { createRefusalTrail, networkOf } from "../../services/gateway/refusal-trail.ts";

/** Refusals are counted, recorded late and together, and not lost when that fails once. */

function open(waitingMax?: number) {
  const recorded: Refusal[][] = [];
  const errors: unknown[] = [];
  let failing: Error | undefined;
  const trail = createRefusalTrail({
    record: async (refusals) => {
      if (failing) throw failing;
      recorded.push([...refusals]);
    },
    onError: (error) => errors.push(error),
    ...(waitingMax && { waitingMax }),
  });
  const fail = (error: Error | undefined) => {
    failing = error;
  };
  return { trail, recorded, errors, fail };
}

const refused = { kind: "auth.refused", route: "GET /orders", address: "203.0.113.9" } as const;

test("those alike are one, with their count", async () => {
  const { trail, recorded } = open();
  for (const _ of [1, 2, 3]) trail.note(refused);
  trail.note({ ...refused, address: "203.0.113.250" });
  trail.note({ ...refused, address: "198.51.100.1" });
  trail.note({ ...refused, kind: "auth.forbidden", subject: "s" });
  await trail.stop();
  expect(recorded).toHaveLength(1);
  expect(recorded[0]).toMatchObject([
    { kind: "auth.refused", subject: "unknown", network: "203.0.113.0/24", count: 4 },
    { network: "198.51.100.0/24", count: 1 },
    { kind: "auth.forbidden", subject: "s", count: 1 },
  ]);
  await trail.stop();
  expect(recorded).toHaveLength(1);
});

test("what cannot be recorded waits, and is counted on", async () => {
  const { trail, recorded, errors, fail } = open();
  fail(new Error("away"));
  trail.note(refused);
  await trail.stop();
  expect(errors).toHaveLength(1);
  fail(undefined);
  trail.note(refused);
  await trail.stop();
  expect(recorded.flat()).toMatchObject([{ count: 2 }]);
});

test("a flood of different ones is bounded, and still counted", async () => {
  const { trail, recorded } = open(10);
  for (let number = 0; number < 1_000; number += 1) trail.note({ ...refused, subject: `s${number}` });
  await trail.stop();
  const all = recorded.flat();
  expect(all.length).toBeLessThanOrEqual(11);
  expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
  expect(all.at(-1)).toMatchObject({ subject: "others", route: "others", count: 990 });
});

test.each([
  ["203.0.113.9", "203.0.113.0/24"],
  ["::ffff:203.0.113.9", "203.0.113.0/24"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"],
  ["2001:db8::6", "2001:db8:0::/48"],
  ["::1", "0:0:0::/48"],
  ["fe80::1%eth0", "fe80:0:0::/48"],
  [undefined, "unknown"],
  ["nonsense", "unknown"],
])("of %s the network is %s", (address, network) => expect(networkOf(address)).toBe(network));
