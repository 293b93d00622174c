import { ACCEPTED, ORDER, startGateway, type TestGateway } from "../support/test-gateway.ts";
import { until } from "../support/until.ts";

/** More at once than a gateway takes on, over HTTP: who is refused, in which words, and that it ends. */

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({ SHED_IN_FLIGHT: "4", REQUEST_TIMEOUT_MS: "20000" });
});

afterAll(() => gateway.broker.stop());

const callsOf = (action: string) => gateway.participants.calls.filter((call) => call.action === action);

test("beyond its limit it begins no new work, still looks a while, and always cancels", async () => {
  const held = Promise.withResolvers<void>();
  const { participants, tokens } = gateway;
  participants.reply("saga.createOrder", async () => {
    await held.promise;
    return { replayed: false, status: 202, headers: {}, body: ACCEPTED };
  });
  const inHand = Array.from({ length: 4 }, () => gateway.post("/api/orders"));
  await until("four orders are being placed", () => callsOf("saga.createOrder").length === 4);

  const refused = await gateway.post("/api/orders");
  expect(refused).toMatchObject({ status: 503, body: { code: "OVERLOADED" } });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
  expect(callsOf("saga.createOrder")).toHaveLength(4);
  expect(await gateway.get(`/api/orders/${ORDER}`)).toMatchObject({ status: 200 });
  expect(await gateway.post(`/api/orders/${ORDER}/cancel`, { body: {} })).toMatchObject({ status: 202 });

  const { text } = await gateway.metrics();
  expect(text).toMatch(/^holdfast_http_shed_total\{purpose="begin"\} 1$/m);
  expect(text).toMatch(/^holdfast_http_in_flight\{kind="working"\} 4$/m);
  held.resolve();
  for (const placed of await Promise.all(inHand)) expect(placed.status).toBe(202);
  expect(await gateway.post("/api/orders", { token: tokens.customer })).toMatchObject({ status: 202 });
});

test("what is refused or fails gives its place back", async () => {
  gateway.participants.reply("saga.createOrder", () => Promise.reject(new Error("broken")));
  for (let count = 0; count < 10; count += 1) {
    expect(await gateway.post("/api/orders", { body: {} })).toMatchObject({ status: 422 });
    expect(await gateway.post("/api/orders")).toMatchObject({ status: 500 });
  }
});

test("every call knows when the client has given up, also one that waits", async () => {
  gateway.participants.reset();
  const before = Date.now();
  await gateway.post("/api/orders");
  await gateway.get(`/api/orders/${ORDER}`, { headers: { prefer: "wait=10" } });
  const after = (action: string) => (callsOf(action)[0]?.deadline ?? 0) - before;
  const [placed, looked] = [after("saga.createOrder"), after("order.get")];
  expect(placed).toBeGreaterThanOrEqual(20_000);
  expect(placed).toBeLessThan(30_000);
  expect(looked).toBeGreaterThanOrEqual(30_000);
});

describe("what has been accepted and waits for its end", () => {
  const WAIT = { prefer: "wait=10" };

  test("leaves its place to new work", async () => {
    const held = Promise.withResolvers<void>();
    const { participants } = gateway;
    participants.reset();
    participants.reply("saga.get", async () => {
      await held.promise;
      return { state: "RUNNING" };
    });
    const waiting = Array.from({ length: 6 }, () => gateway.post("/api/orders", { headers: WAIT }));
    await until("six orders are waited for", () => callsOf("saga.get").length === 6);
    expect(await gateway.post("/api/orders")).toMatchObject({ status: 202 });
    held.resolve();
    for (const { status, headers } of await Promise.all(waiting)) {
      expect(status).toBe(202);
      expect(headers).toMatchObject({ "preference-applied": "wait=10" });
    }
    expect((await gateway.metrics()).text).toMatch(/^holdfast_http_in_flight\{kind="waiting"\} 0$/m);
  });

  test("is answered as accepted where its end cannot be seen", async () => {
    gateway.participants.reset();
    gateway.participants.reply("saga.get", () => Promise.reject(new Error("the saga service is away")));
    expect(await gateway.post("/api/orders", { headers: WAIT })).toMatchObject({
      status: 202,
      body: ACCEPTED,
    });
  });
});
