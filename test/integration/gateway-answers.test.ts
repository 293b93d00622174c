import { randomUUID } from "node:crypto";
import { Errors } from "moleculer";
import { http } from "../support/http.ts";
import { BASKET, startGateway, type TestGateway } from "../support/test-gateway.ts";

/** What the gateway tells when something is amiss behind it, and which addresses there are. */

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

beforeEach(() => gateway.participants.reset());

afterAll(() => gateway.broker.stop());

test("no body at all is fine where there is nothing to say, and only there", async () => {
  const headers = gateway.bearer({ token: gateway.tokens.staff });
  const send = (path: string) => http(gateway.url + path, { method: "POST", headers });
  expect(await send(`/api/orders/${randomUUID()}/ship`)).toMatchObject({ status: 200 });
  expect(await send("/api/orders")).toMatchObject({ status: 415 });
});

describe("errors of the actions", () => {
  const failing = async (error: unknown) => {
    gateway.participants.reply("saga.createOrder", () => Promise.reject(error));
    return gateway.post("/api/orders");
  };
  const remote = (message: string, properties: object) => Object.assign(new Error(message), properties);

  test("are told by their type", async () => {
    const reused = remote("used before", { code: 422, type: "IDEMPOTENCY_KEY_REUSED" });
    expect(await failing(reused)).toMatchObject({
      status: 422,
      body: { code: "IDEMPOTENCY_KEY_REUSED", detail: "used before" },
    });
    const progress = remote("in progress", {
      code: 409,
      type: "REQUEST_IN_PROGRESS",
      data: { retryAfterSeconds: 3 },
    });
    expect(await failing(progress)).toMatchObject({ status: 409, headers: { "retry-after": "3" } });
    const away = remote("connect 10.0.0.1", { code: 503, type: "DATABASE_UNAVAILABLE" });
    const answer = await failing(away);
    expect(answer).toMatchObject({
      status: 503,
      body: { code: "DATABASE_UNAVAILABLE" },
      headers: { "retry-after": "1" },
    });
    expect(answer.text).not.toContain("10.0.0.1");
  });

  test("that nobody foresaw are told as 500, with nothing of theirs", async () => {
    const sql = remote('column "x" does not exist', { code: "42703", query: "select x from orders" });
    for (const error of [sql, new TypeError("x is undefined"), "text"]) {
      const answer = await failing(error);
      expect(answer).toMatchObject({ status: 500, body: { code: "INTERNAL_ERROR" } });
      expect(answer.text).not.toMatch(/column|undefined|text/);
    }
  });

  test("a call that takes too long is told as 504", async () => {
    expect(await failing(new Errors.RequestTimeoutError({ action: "saga.createOrder" }))).toMatchObject({
      status: 504,
      body: { code: "REQUEST_TIMEOUT" },
    });
  });

  test("a service that is away is told as 503", async () => {
    await gateway.participants.without("saga", async () => {
      expect(await gateway.post("/api/orders")).toMatchObject({
        status: 503,
        body: { code: "SERVICE_NOT_AVAILABLE" },
        headers: { "retry-after": "1" },
      });
    });
    expect(await gateway.post("/api/orders")).toMatchObject({ status: 202 });
  });
});

describe("addresses", () => {
  test("beyond the table do not exist", async () => {
    for (const path of [
      "/api",
      "/api/nothing",
      "/nothing",
      "/apiorders",
      "/api/saga/createOrder",
      "/api/~node/list",
      "/~node/services",
      "/saga/createOrder",
      "/api/gateway/rest",
      "/api/../etc/passwd",
    ]) {
      expect(await gateway.get(path)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    }
  });

  test("take their own methods only", async () => {
    for (const [method, path, allow] of [
      ["DELETE", "/api/orders", "GET, POST"],
      ["PUT", "/api/orders/saga", "GET, POST"],
      ["HEAD", "/api/products", "GET, POST"],
      ["POST", "/", "GET"],
    ] as const) {
      const answer = await http(gateway.url + path, { method, headers: gateway.bearer() });
      expect(answer.status).toBe(405);
      expect(answer.headers.allow?.split(", ").sort().join(", ")).toBe(allow);
    }
  });

  test("do not run a POST for an OPTIONS that announces one, as moleculer-web alone would", async () => {
    const body = JSON.stringify(BASKET);
    const headers = {
      ...gateway.bearer(),
      "access-control-request-method": "POST",
      "content-type": "application/json",
      "content-length": String(body.length),
      "idempotency-key": "key-1",
    };
    const answer = await http(`${gateway.url}/api/orders`, { method: "OPTIONS", headers, body });
    expect(gateway.participants.calls).toEqual([]);
    expect(answer).toMatchObject({ status: 405, body: { code: "METHOD_NOT_ALLOWED" } });
  });

  test("that cannot be decoded are refused", async () => {
    expect(await gateway.get("/api/orders/%E0%A4%A")).toMatchObject({
      status: 400,
      body: { code: "MALFORMED_URL" },
    });
  });

  test("begin with an index that anyone may see", async () => {
    const answer = await http(`${gateway.url}/`);
    expect(answer).toMatchObject({ status: 200, body: { name: "holdfast" } });
  });

  test("a correlation id that could do harm is replaced", async () => {
    for (const given of ["short", "x".repeat(65), "<script>alert(1)</script>"]) {
      const { headers } = await gateway.get("/api/products", { headers: { "x-correlation-id": given } });
      expect(headers["x-correlation-id"]).not.toBe(given);
      expect(headers["x-correlation-id"]).toBe(gateway.participants.calls.at(-1)?.correlationId);
    }
  });
});
