import { openBus } from "../../lib/bus/open-bus.ts";
import { loadConfig } from "../../lib/config.ts";
import { claimBuckets, releaseBuckets } from "../../mixins/outbox-buckets.store.ts";
import { createRelay } from "../../mixins/outbox-relay.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

/** Who relays which bucket: fair shares, one owner at a time, nobody's for longer than a lease. */

const server = useServer();
const ALL = Array.from({ length: 16 }, (_, bucket) => bucket);
const LONG_MS = 60_000;
const SHORT_MS = 1_000;

async function setUp() {
  const { url, open } = await server.fresh("customer");
  const database = open();
  const claim = (owner: string, leaseMs = LONG_MS) => claimBuckets(database, owner, leaseMs);
  const owners = async () => {
    const rows = await run<{ owner: string | null }>(url, "select owner from outbox_buckets order by bucket");
    return rows.map(({ owner }) => owner);
  };
  return { url, open, database, claim, owners };
}
const sorted = (...shares: readonly (readonly number[])[]) => shares.flat().sort((a, b) => a - b);

test("a relay alone has all buckets, and keeps them as it renews", async () => {
  const { claim } = await setUp();
  expect(sorted(await claim("a"))).toEqual(ALL);
  expect(sorted(await claim("a"))).toEqual(ALL);
});

test("relays that come are given their fair share, each bucket to one", async () => {
  const { claim, owners } = await setUp();
  await claim("a");
  // What the first has above its share comes free when it renews next.
  await expect(claim("b")).resolves.toEqual([]);
  expect(await claim("a")).toHaveLength(8);
  expect(await claim("b")).toHaveLength(8);
  await claim("c");
  const [a, b] = [await claim("a"), await claim("b")];
  const c = await claim("c");
  expect([a.length, b.length, c.length]).toEqual([6, 6, 4]);
  expect(sorted(a, b, c)).toEqual(ALL);
  expect(a.every((bucket) => !b.includes(bucket) && !c.includes(bucket))).toBe(true);
  expect((await owners()).filter((owner) => owner === "c")).toHaveLength(4);
});

test("what a relay that died had is free when its lease ends, and not before", async () => {
  const { claim } = await setUp();
  await claim("dead", SHORT_MS);
  await expect(claim("heir")).resolves.toEqual([]);
  await until("the lease over", async () => (await claim("heir")).length === 16);
});

test("a relay that wakes after its lease finds its buckets another's", async () => {
  const { claim } = await setUp();
  await claim("sleeper", SHORT_MS);
  await until("taken over", async () => (await claim("heir")).length === 16);
  await expect(claim("sleeper")).resolves.toEqual([]);
});

test("what a relay gives back is free at once", async () => {
  const { url, database, claim } = await setUp();
  await claim("a");
  await releaseBuckets(database, "a");
  await expect(run(url, "select * from outbox_relays")).resolves.toEqual([]);
  expect(sorted(await claim("b"))).toEqual(ALL);
});

test("many that claim at once, again and again, never share a bucket", async () => {
  const { claim, owners } = await setUp();
  const names = Array.from({ length: 6 }, (_, index) => `relay ${index}`);
  await until("fair shares", async () => {
    const shares = await Promise.all(names.map((name) => claim(name)));
    expect(new Set(shares.flat()).size).toBe(shares.flat().length);
    return shares.flat().length === 16 && shares.every((share) => share.length >= 1 && share.length <= 3);
  });
  expect(new Set(await owners()).size).toBe(6);
});

test("a relay gives its buckets back when it stops", async () => {
  const { url, open, owners } = await setUp();
  const log = await server.fresh("bus");
  const bus = openBus(loadConfig({ BUS_DATABASE_URL: log.url }));
  const errors: unknown[] = [];
  const relayOf = (owner: string) =>
    createRelay({
      service: "customer",
      bus,
      owner,
      database: open({ connectionsMax: 2 }),
      pollMs: 20,
      batchSize: 100,
      leaseMs: 900,
      onPublished: () => undefined,
      onFailed: () => undefined,
      onTopicMissing: () => undefined,
      onError: (error) => errors.push(error),
    });
  const [a, b] = [relayOf("a"), relayOf("b")];
  try {
    a.start();
    b.start();
    await until(
      "a fair share each",
      async () => (await owners()).filter((owner) => owner === "a").length === 8,
    );
    await until("all taken", async () => (await owners()).every((owner) => owner !== null));
    await a.stop();
    expect(await owners()).not.toContain("a");
    await until("the other has them", async () => (await owners()).every((owner) => owner === "b"));
    await b.stop();
    expect(new Set(await owners())).toEqual(new Set([null]));
    await expect(run(url, "select * from outbox_relays")).resolves.toEqual([]);
    expect(errors).toEqual([]);
  } finally {
    await Promise.all([a.stop(), b.stop()]);
    await bus.close();
  }
});
