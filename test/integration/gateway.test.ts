import { http } from "../support/http.ts";
import {
  BASKET,
  ORDER,
  PRODUCT,
  SAGA,
  type Sending,
  startGateway,
  type TestGateway,
} from "../support/test-gateway.ts";
import { CUSTOMER, makeKey, OTHER_CUSTOMER } from "../support/tokens.ts";

/**
 * POST /orders by itself, over real HTTP and with the real broker options: what it lets through, what it refuses
 * and in which words. Behind it stand small participants that record what reaches them.
 */

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

beforeEach(() => gateway.participants.reset());

afterAll(() => gateway.broker.stop());

describe("POST /orders", () => {
  test.each(["/api/orders", "/api/orders/saga", "/api/orders/"])(
    "%s answers 202 with the order's address",
    async (path) => {
      const answer = await gateway.post(path, { headers: { "x-correlation-id": "correlation-1" } });
      expect(answer).toMatchObject({
        status: 202,
        body: { orderId: ORDER, sagaId: SAGA, status: "processing" },
      });
      expect(answer.headers).toMatchObject({
        location: `/api/orders/${ORDER}`,
        "content-type": "application/json; charset=utf-8",
        "x-correlation-id": "correlation-1",
      });
      expect(answer.headers["idempotent-replayed"]).toBeUndefined();
      expect(gateway.participants.calls).toEqual([
        {
          action: "saga.createOrder",
          correlationId: "correlation-1",
          deadline: expect.any(Number),
          params: {
            orderId: expect.stringMatching(/^[0-9a-f-]{36}$/),
            customerId: CUSTOMER,
            ...BASKET,
            idempotency: {
              subject: CUSTOMER,
              key: "key-1",
              operation: "POST /orders",
              requestHash: expect.stringMatching(/^[0-9a-f]{64}$/),
            },
          },
        },
      ]);
    },
  );

  test("a stored answer is told as one", async () => {
    gateway.participants.reply("saga.createOrder", () => ({
      replayed: true,
      status: 202,
      headers: {},
      body: { orderId: ORDER, sagaId: SAGA, status: "processing" },
    }));
    expect((await gateway.post("/api/orders")).headers).toMatchObject({ "idempotent-replayed": "true" });
  });

  test("lines of one product are summed, and the same request hashes to the same", async () => {
    const lines = (...quantities: number[]) => ({
      items: quantities.map((quantity) => ({ productId: PRODUCT, quantity })),
    });
    await gateway.post("/api/orders", { body: lines(1, 4) });
    await gateway.post("/api/orders", { body: lines(5) });
    await gateway.post("/api/orders", { body: lines(6) });
    const [summed, single, other] = gateway.participants.calls.map(
      (call) => call.params as { items: unknown; idempotency: unknown },
    );
    expect(summed?.items).toEqual([{ productId: PRODUCT, quantity: 5 }]);
    expect(summed?.idempotency).toEqual(single?.idempotency);
    expect(other?.idempotency).not.toEqual(single?.idempotency);
  });

  test("staff orders for a customer, who may not say so themselves", async () => {
    const body = { ...BASKET, customerId: OTHER_CUSTOMER };
    expect(await gateway.post("/api/orders", { token: gateway.tokens.staff, body })).toMatchObject({
      status: 202,
    });
    expect(gateway.participants.calls[0]?.params).toMatchObject({ customerId: OTHER_CUSTOMER });
    expect(await gateway.post("/api/orders", { body })).toMatchObject({
      status: 403,
      body: { code: "FORBIDDEN" },
    });
    expect(gateway.participants.calls).toHaveLength(1);
  });
});

describe("what POST /orders refuses never reaches the saga:", () => {
  afterEach(() => {
    expect(gateway.participants.calls).toEqual([]);
  });

  const line = (quantity: unknown) => ({ items: [{ productId: PRODUCT, quantity }] });

  test.each<[string, unknown]>([
    ["quantity 0", line(0)],
    ["a negative quantity", line(-1)],
    ["a fractional quantity", line(1.5)],
    ["a quantity in quotes", line("1")],
    ["a quantity of 1e9", line(1e9)],
    ["no quantity", line(undefined)],
    ["101 lines", { items: Array.from({ length: 101 }, () => ({ productId: PRODUCT, quantity: 1 })) }],
    ["no lines", { items: [] }],
    ["lines that add up to more than a million", { items: [...line(600_000).items, ...line(600_000).items] }],
    ["a product id that is none", { items: [{ productId: "17", quantity: 1 }] }],
    ["an unknown field", { ...BASKET, totalMinor: 1 }],
    ["an unknown field in a line", { items: [{ productId: PRODUCT, quantity: 1, priceMinor: 1 }] }],
    ["an unknown field in the address", { ...BASKET, shippingAddress: { name: "n", zip: "1" } }],
    ["a list", [BASKET]],
    ["a text", "order"],
    ["null", null],
  ])("%s", async (_what, body) => {
    const answer = await gateway.post("/api/orders", { raw: JSON.stringify(body) });
    expect(answer).toMatchObject({ status: 422, body: { code: "VALIDATION_FAILED" } });
    expect(answer.body?.errors).toContainEqual({ field: expect.any(String), message: expect.any(String) });
  });

  test.each(["__proto__", "constructor", "toString"])("a field named %s", async (name) => {
    const raw = `{"items":[{"productId":"${PRODUCT}","quantity":1}],"${name}":{"polluted":true}}`;
    expect(await gateway.post("/api/orders", { raw })).toMatchObject({
      status: 422,
      body: { code: "VALIDATION_FAILED" },
    });
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });

  test.each([
    ["broken", '{"items":['],
    ["empty", ""],
    ["bare text", "items=1"],
    ["two values", "{}{}"],
  ])("JSON that is %s", async (_what, raw) => {
    expect(await gateway.post("/api/orders", { raw })).toMatchObject({
      status: 400,
      body: { code: "MALFORMED_JSON" },
    });
  });

  test.each([
    ["text/plain", {}],
    ["application/x-www-form-urlencoded", {}],
    ["application/json; charset=utf-16", {}],
    ["application/jsonp", {}],
    ["application/json", { "content-encoding": "gzip" }],
  ])("content type %s %p", async (type, more) => {
    const answer = await gateway.post("/api/orders", { headers: { "content-type": type, ...more } });
    expect(answer).toMatchObject({ status: 415, body: { code: "UNSUPPORTED_MEDIA_TYPE" } });
  });

  test("a body over 64 KB, announced or in chunks, and the connection lives on", async () => {
    const raw = Buffer.alloc(64 * 1_024 + 1, " ");
    const refusal = { status: 413, body: { code: "BODY_TOO_LARGE" } };
    expect(await gateway.post("/api/orders", { raw })).toMatchObject(refusal);
    expect(
      await gateway.post("/api/orders", { raw, headers: { "transfer-encoding": "chunked" } }),
    ).toMatchObject(refusal);
    expect(await gateway.post("/api/orders", { raw: "{" })).toMatchObject({ status: 400 });
  });

  test("a missing Idempotency-Key", async () => {
    const headers = { "content-type": "application/json", ...gateway.bearer() };
    const answer = await http(`${gateway.url}/api/orders`, {
      method: "POST",
      headers,
      body: JSON.stringify(BASKET),
    });
    expect(answer).toMatchObject({ status: 400, body: { code: "IDEMPOTENCY_KEY_MISSING" } });
  });

  test.each<[string, string | string[]]>([
    ["repeated", ["key-1", "key-2"]],
    ["repeated, the same", ["key-1", "key-1"]],
    ["empty", ""],
    ["oversized", "k".repeat(256)],
    ["not ASCII", "cl\u00e9"],
    ["with a space", "a b"],
  ])("an Idempotency-Key that is %s", async (_what, key) => {
    const answer = await gateway.post("/api/orders", { headers: { "idempotency-key": key } });
    expect(answer).toMatchObject({ status: 400, body: { code: "IDEMPOTENCY_KEY_INVALID" } });
  });

  test("requests without a token that holds", async () => {
    const foreign = await (await makeKey("key-1")).sign();
    const expired = await gateway.sign({ expiresIn: -10 });
    for (const token of ["", "a.b.c", foreign, expired, `${gateway.tokens.customer}x`]) {
      const answer = await gateway.post("/api/orders", { token });
      expect(answer).toMatchObject({ status: 401, body: { code: "UNAUTHENTICATED" } });
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer .*error="invalid_token"$/);
    }
    const without = await http(`${gateway.url}/api/orders`, { method: "POST", body: JSON.stringify(BASKET) });
    expect(without).toMatchObject({
      status: 401,
      headers: { "www-authenticate": 'Bearer realm="holdfast"' },
    });
  });

  test("roles that may not order", async () => {
    for (const token of [gateway.tokens.operator, gateway.tokens.service, gateway.tokens.nobody]) {
      expect(await gateway.post("/api/orders", { token })).toMatchObject({
        status: 403,
        body: { code: "FORBIDDEN" },
      });
    }
  });

  test("faults are told in the promised order", async () => {
    const worst = {
      token: gateway.tokens.operator,
      raw: "{",
      headers: { "content-type": "text/plain", "idempotency-key": "" },
    };
    const statuses = async (...steps: Sending[]) =>
      Promise.all(steps.map(async (step) => (await gateway.post("/api/orders", step)).body?.code));
    const json = { "content-type": "application/json" };
    expect(
      await statuses(
        { ...worst, token: "a.b.c" },
        worst,
        { ...worst, headers: { ...json, "idempotency-key": "" } },
        { ...worst, raw: "{}", headers: { ...json, "idempotency-key": "" } },
        { raw: "{}", headers: { "idempotency-key": "" } },
        { headers: { "idempotency-key": "" } },
      ),
    ).toEqual([
      "UNAUTHENTICATED",
      "UNSUPPORTED_MEDIA_TYPE",
      "MALFORMED_JSON",
      "FORBIDDEN",
      "VALIDATION_FAILED",
      "IDEMPOTENCY_KEY_INVALID",
    ]);
  });
});
