import type { RateSpending } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { forgetRates, settleRates } from "../../services/saga/rate-limits.store.ts";
import { run, useServer } from "../support/service-database.ts";
import { BASKET, startGateway, type TestGateway } from "../support/test-gateway.ts";
import { CUSTOMER } from "../support/tokens.ts";
import { until } from "../support/until.ts";

/** Two gateways over HTTP that share one PostgreSQL: what is let through with both together, and in which words the rest is refused. */

const server = useServer();
const env = { RATE_LIMIT_PER_SUBJECT: "1", RATE_LIMIT_PER_ADDRESS: "100", RATE_LIMIT_BURST_SECONDS: "100" };
let url: string;
let database: Database;
let gateways: TestGateway[];

beforeAll(async () => {
  const saga = await server.fresh("saga");
  url = saga.url;
  database = saga.open();
  gateways = await Promise.all([startGateway(env), startGateway(env)]);
  for (const gateway of gateways)
    gateway.participants.reply("saga.settleRates", async ({ spent }) => ({
      owed: await settleRates(database, spent as RateSpending[]),
    }));
});

afterAll(() => Promise.all(gateways.map(({ broker }) => broker.stop())));

const list = (gateway: TestGateway | undefined, headers = {}, token?: string) => {
  if (!gateway) throw new Error("not started");
  return gateway.get("/api/orders", { headers, token });
};

test("a subject has one allowance for both gateways, and is told when to come back", async () => {
  const statuses: number[] = [];
  for (let sent = 0; sent < 150; sent += 1) statuses.push((await list(gateways[sent % 2])).status);
  const allowed = statuses.filter((status) => status === 200).length;
  // A second or two of the test, and a tenth of a burst that each gateway may not have told yet.
  expect(allowed).toBeGreaterThanOrEqual(100);
  expect(allowed).toBeLessThanOrEqual(140);
  const before = gateways[0]?.participants.calls.length;
  const refused = await list(gateways[0]);
  expect(refused).toMatchObject({ status: 429, body: { code: "RATE_LIMITED" } });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
  expect(refused.headers["ratelimit-policy"]).toBe('"subject";q=100;w=100');
  expect(refused.headers.ratelimit).toMatch(/^"subject";r=0;t=\d+$/);
  expect(gateways[0]?.participants.calls).toHaveLength(before ?? -1);
  const [row] = await run<{ owed: number }>(
    url,
    "select extract(epoch from settled_at - now())::float8 as owed from rate_limits where key = $1",
    [`subject:${CUSTOMER}`],
  );
  expect(row?.owed).toBeGreaterThan(80);
});

test("another subject is not concerned, and is told what is left once half of it is used", async () => {
  const token = gateways[0]?.tokens.staff;
  const first = await list(gateways[0], {}, token);
  expect(first.status).toBe(200);
  expect(first.headers.ratelimit).toBeUndefined();
  const later = await until("half is used", async () => {
    const answer = await list(gateways[0], {}, token);
    return answer.headers.ratelimit === undefined ? undefined : answer;
  });
  expect(later.headers.ratelimit).toMatch(/^"subject";r=(49|50);t=\d+$/);
});

test("a refused order leaves its key unused", async () => {
  const key = { "idempotency-key": "refused-first" };
  const gateway = gateways[0];
  if (!gateway) throw new Error("not started");
  gateway.participants.reset();
  const refused = await gateway.post("/api/orders", { headers: key, body: BASKET });
  expect(refused.status).toBe(429);
  expect(gateway.participants.calls).toEqual([]);
});

test("who tries tokens is heard less and less, whatever they write into X-Forwarded-For", async () => {
  const own = await startGateway({ ...env, RATE_LIMIT_PER_ADDRESS: "1" });
  const statuses = [];
  for (let sent = 0; sent < 15; sent += 1) {
    const headers = { authorization: "Bearer a.b.c", "x-forwarded-for": `203.0.113.${sent}` };
    statuses.push((await own.get("/api/orders", { headers })).status);
  }
  expect(statuses.filter((status) => status === 401)).toHaveLength(10);
  expect(statuses.at(-1)).toBe(429);
  // It is the address that is not heard: with a good token no more than without one.
  const refused = await own.get("/api/no-such-thing");
  expect(refused).toMatchObject({
    status: 429,
    body: { code: "RATE_LIMITED", instance: "/api/no-such-thing" },
  });
  expect(refused.headers.ratelimit).toMatch(/^"address";r=0/);
  await own.broker.stop();
});

test("behind a trusted proxy each of its clients has an allowance of its own", async () => {
  const proxied = {
    TRUSTED_PROXIES: "127.0.0.0/8",
    RATE_LIMIT_PER_ADDRESS: "1",
    RATE_LIMIT_BURST_SECONDS: "2",
  };
  const own = await startGateway(proxied);
  const ask = async (client: string) =>
    (await own.get("/api/products", { headers: { "x-forwarded-for": `6.6.6.6, ${client}` } })).status;
  const statuses = [];
  for (const client of ["203.0.113.1", "203.0.113.1", "203.0.113.1", "203.0.113.2"])
    statuses.push(await ask(client));
  expect(statuses).toEqual([200, 200, 429, 200]);
  await own.broker.stop();
});

test("accounts that owe nothing are deleted", async () => {
  await run(
    url,
    "insert into rate_limits select 'old:' || n, now() - interval '1 second' from generate_series(1, 2500) n",
  );
  const gone = [await forgetRates(database, 1_000), await forgetRates(database, 5_000)];
  expect(gone).toEqual([1_000, 1_500]);
  const left = await run(url, "select 1 from rate_limits where settled_at > now()");
  expect(left.length).toBeGreaterThan(0);
});
