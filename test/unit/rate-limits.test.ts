import fc from "fast-check";
import { createRateLimiter, type Policy, type RateLimiter } from "../../services/gateway/rate-limits.ts";

/** What one gateway lets through by itself, and several ones by what they tell each other. */

const policy: Policy = { name: "subject", perSecond: 10, burstSeconds: 5 };

/** The shared accounts as the database keeps them, and a clock for all. */
class World {
  nowMs = 1_000;
  readonly settledAt = new Map<string, number>();
  away = false;
  told = 0;
  /** Answers that have not arrived yet. */
  readonly pending: (() => void)[] = [];
  errors = 0;

  gateway(held = false, accountsMax?: number): RateLimiter {
    return createRateLimiter({
      policy,
      now: () => this.nowMs,
      accountsMax,
      onError: () => {
        this.errors += 1;
      },
      settle: async ({ key, seconds }) => {
        if (this.away) throw new Error("away");
        this.told += 1;
        const from = Math.max(this.settledAt.get(key) ?? 0, this.nowMs);
        this.settledAt.set(key, from + seconds * 1_000);
        const owed = (from + seconds * 1_000 - this.nowMs) / 1_000;
        if (held) await new Promise<void>((resolve) => this.pending.push(resolve));
        return owed;
      },
    });
  }

  /** Lets answers arrive that are due. */
  async settle(): Promise<void> {
    for (let round = 0; round < 5; round += 1) await Promise.resolve();
  }
}

test("a burst is let through, then the average rate, and a refusal says when to come back", async () => {
  const world = new World();
  const gateway = world.gateway();
  const burst = Array.from({ length: 50 }, () => gateway.take("a"));
  expect(burst.every((verdict) => verdict?.allowed)).toBe(true);
  expect(burst.at(-1)).toMatchObject({ remaining: 0, resetSeconds: expect.closeTo(5, 5) });
  const refused = gateway.take("a");
  expect(refused).toMatchObject({ allowed: false, remaining: 0 });
  expect(refused?.waitSeconds).toBeCloseTo(0.1, 5);
  world.nowMs += 1_000;
  const second = Array.from({ length: 20 }, () => gateway.take("a"));
  expect(second.filter((verdict) => verdict?.allowed)).toHaveLength(10);
  expect(gateway.take("b")).toMatchObject({ allowed: true, remaining: 49 });
});

test("without a limit nobody is counted", () => {
  const settle = async () => 0;
  const unlimited = createRateLimiter({
    policy: { ...policy, perSecond: 0 },
    settle,
    onError: () => undefined,
  });
  expect(unlimited.take("a")).toBeUndefined();
});

test("a gateway tells the others after a tenth of a burst, and hears what they have let through", async () => {
  const world = new World();
  const [one, other] = [world.gateway(), world.gateway()];
  for (let sent = 0; sent < 45; sent += 1) one.take("a");
  await world.settle();
  expect(world.settledAt.get("subject:a")).toBeCloseTo(world.nowMs + 4_500, 3);
  expect(world.told).toBeLessThan(10);
  // It does not know before it has something to tell itself.
  for (let sent = 0; sent < 5; sent += 1) expect(other.take("a")).toMatchObject({ allowed: true });
  await world.settle();
  expect(other.take("a")).toMatchObject({ allowed: false });
});

test("while the store is away each gateway keeps the limit by itself, and nothing adds up meanwhile", async () => {
  const world = new World();
  world.away = true;
  const gateway = world.gateway();
  let allowed = 0;
  for (let second = 0; second < 100; second += 1) {
    for (let sent = 0; sent < 20; sent += 1) if (gateway.take("a")?.allowed) allowed += 1;
    await world.settle();
    world.nowMs += 1_000;
  }
  expect(allowed).toBe(50 + 99 * 10);
  expect(world.errors).toBeGreaterThan(10);
  world.away = false;
  world.nowMs += 5_000;
  for (let sent = 0; sent < 50; sent += 1) gateway.take("a");
  await world.settle();
  // The store has heard of what stood open, and of what came since, never of a hundred seconds.
  expect(world.settledAt.get("subject:a")).toBeLessThanOrEqual(world.nowMs + 10_001);
});

test("a charge can put an account beyond its burst", () => {
  const gateway = new World().gateway();
  gateway.charge("a", 100);
  expect(gateway.take("a")?.waitSeconds).toBeCloseTo(5.1, 5);
});

test("of more keys than there is room for the oldest is forgotten, and the store remembers it", async () => {
  const world = new World();
  const gateway = world.gateway(false, 2);
  for (let sent = 0; sent < 50; sent += 1) gateway.take("a");
  await world.settle();
  gateway.take("b");
  gateway.take("c");
  for (let sent = 0; sent < 5; sent += 1) expect(gateway.take("a")).toMatchObject({ allowed: true });
  await world.settle();
  expect(gateway.take("a")).toMatchObject({ allowed: false });
});

test("what several gateways let through stays within the documented bound, whoever is asked when", async () => {
  const gateways = 4;
  const steps = fc.array(
    fc.record({
      gateway: fc.nat(gateways - 1),
      requests: fc.nat(30),
      afterMs: fc.nat(500),
    }),
    { minLength: 20, maxLength: 200 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const world = new World();
      const nodes = Array.from({ length: gateways }, () => world.gateway());
      const startedAt = world.nowMs;
      let allowed = 0;
      for (const { gateway, requests, afterMs } of script) {
        for (let sent = 0; sent < requests; sent += 1) {
          if (nodes[gateway]?.take("a")?.allowed) allowed += 1;
          await world.settle();
        }
        world.nowMs += afterMs;
        const seconds = (world.nowMs - startedAt) / 1_000;
        const bound = policy.perSecond * (seconds + policy.burstSeconds * (1 + gateways / 10));
        expect(allowed).toBeLessThanOrEqual(bound + 1);
      }
    }),
    { numRuns: 100 },
  );
});

test("answers that are late loosen the limit for as long as they are late, and no longer", async () => {
  const world = new World();
  const nodes = [world.gateway(true), world.gateway(true)];
  const arrive = async () => {
    for (let round = 0; round < 20; round += 1) {
      for (const resolve of world.pending.splice(0)) resolve();
      await world.settle();
    }
  };
  const send = async (requests: number, late: boolean) => {
    let allowed = 0;
    for (const node of nodes) {
      for (let sent = 0; sent < requests; sent += 1) {
        if (node.take("a")?.allowed) allowed += 1;
        if (!late) await arrive();
      }
    }
    return allowed;
  };
  // Neither hears of the other: each lets a burst through.
  expect(await send(100, true)).toBe(100);
  await arrive();
  world.nowMs += 5_000;
  // What was too much has to be worked off first; who heard last knows that, the other one when it has something to tell.
  expect(await send(100, false)).toBeLessThanOrEqual(6);
  world.nowMs += 5_500;
  expect(await send(3, false)).toBe(6);
});
