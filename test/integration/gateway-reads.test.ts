import {
  ORDER,
  ORDER_VIEW,
  PRODUCT,
  SAGA,
  SAGA_VIEW,
  startGateway,
  type TestGateway,
} from "../support/test-gateway.ts";
import { CUSTOMER, OTHER_CUSTOMER } from "../support/tokens.ts";

/** The gateway's reads: who sees what, and who waits for what. */

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

beforeEach(() => gateway.participants.reset());

afterAll(() => gateway.broker.stop());

describe("reads", () => {
  const draft = { ...ORDER_VIEW, status: "draft" };

  test("show customers their own, and staff everybody's", async () => {
    for (const [token, viewer] of [
      [gateway.tokens.customer, { customerId: CUSTOMER }],
      [gateway.tokens.staff, {}],
      [gateway.tokens.operator, {}],
    ] as const) {
      gateway.participants.reset();
      for (const path of ["", `/${ORDER}`, `/${ORDER}/status`, `/saga/${SAGA}`]) {
        expect(await gateway.get(`/api/orders${path}`, { token })).toMatchObject({ status: 200 });
      }
      expect(gateway.participants.calls.map(({ action, params }) => ({ action, params }))).toEqual([
        { action: "order.list", params: viewer },
        { action: "order.get", params: { orderId: ORDER, ...viewer } },
        { action: "order.status", params: { orderId: ORDER, ...viewer } },
        { action: "saga.get", params: { sagaId: SAGA, ...viewer } },
      ]);
    }
  });

  test("of an order whose draft is late come from its saga", async () => {
    const missing = Object.assign(new Error("No such order"), { code: 404, type: "ORDER_NOT_FOUND" });
    gateway.participants.reply("order.get", () => Promise.reject(missing));
    gateway.participants.reply("order.status", () => Promise.reject(missing));
    gateway.participants.reply("saga.order", () => draft);
    expect(await gateway.get(`/api/orders/${ORDER}`)).toMatchObject({ status: 200, body: draft });

    expect((await gateway.get(`/api/orders/${ORDER}/status`)).body).toEqual({
      orderId: ORDER,
      status: "draft",
      updatedAt: expect.any(String),
    });
    gateway.participants.reply("saga.order", () => Promise.reject(missing));
    expect(await gateway.get(`/api/orders/${ORDER}`)).toMatchObject({
      status: 404,
      body: { code: "ORDER_NOT_FOUND" },
    });
    expect(await gateway.get(`/api/orders/${ORDER}/status`)).toMatchObject({ status: 404 });
  });

  test("show nothing that the contract does not declare, whatever an action answers", async () => {
    const line = { productId: PRODUCT, quantity: 1, sku: "S", priceMinor: 1 };
    gateway.participants.reply("order.get", () => ({
      ...ORDER_VIEW,
      items: [{ ...line, supplier: "secret" }],
      version: 7,
      "__proto__.x": 1,
    }));
    const { body } = await gateway.get(`/api/orders/${ORDER}`);
    expect(body).toEqual({ ...ORDER_VIEW, items: [line] });
  });

  test("tell a client that it has the answer already, while it holds", async () => {
    const path = `/api/orders/${ORDER}`;
    const { headers, text } = await gateway.get(path);
    const etag = String(headers.etag);
    expect(etag).toMatch(/^"[\w-]{27}"$/);
    expect(headers["cache-control"]).toBe("no-store");
    for (const given of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const answer = await gateway.get(path, { headers: { "if-none-match": given } });
      expect(answer).toMatchObject({ status: 304, text: "", headers: { etag } });
      expect(answer.headers["content-type"]).toBeUndefined();
    }
    for (const given of ['"other"', "", etag.replaceAll('"', "")]) {
      const answer = await gateway.get(path, { headers: { "if-none-match": given } });
      expect(answer).toMatchObject({ status: 200, text });
    }
    gateway.participants.reply("order.get", () => ({ ...ORDER_VIEW, status: "paid" }));
    const changed = await gateway.get(path, { headers: { "if-none-match": etag } });
    expect(changed).toMatchObject({ status: 200, body: { status: "paid" } });
    expect(changed.headers.etag).not.toBe(etag);
    // Who may not see it is not told that it is still the same.
    const token = gateway.tokens.nobody;
    const refused = await gateway.get(path, { token, headers: { "if-none-match": "*" } });
    expect(refused).toMatchObject({ status: 403 });
    expect((await gateway.get(`/api/products/${PRODUCT}`)).headers["cache-control"]).toBe(
      "private, no-cache",
    );
  });

  test("wait for the saga's end when the client prefers that", async () => {
    gateway.participants.reply("order.get", () => draft);
    gateway.participants.reply("saga.get", () => {
      gateway.participants.reply("order.get", () => ({ ...draft, status: "created" }));
      return SAGA_VIEW;
    });
    const headers = { prefer: "wait=7" };
    const waited = { status: 200, headers: { "preference-applied": "wait=7" } };
    expect(await gateway.get(`/api/orders/${ORDER}`, { headers })).toMatchObject({
      ...waited,
      body: { status: "created" },
    });
    expect(gateway.participants.calls.map((call) => call.action)).toEqual([
      "order.get",
      "saga.get",
      "order.get",
    ]);
    expect(gateway.participants.calls[1]?.params).toEqual({
      sagaId: SAGA,
      waitMs: 7_000,
      customerId: CUSTOMER,
    });
    expect(await gateway.get(`/api/orders/${ORDER}/status`, { headers })).toMatchObject({
      ...waited,
      body: { status: "created" },
    });
    expect(await gateway.get(`/api/orders/saga/${SAGA}`, { headers })).toMatchObject(waited);
  });

  test("wait longer than a call may usually take", async () => {
    gateway.participants.reply("saga.get", async () => {
      await new Promise((resolve) => setTimeout(resolve, gateway.settings.REQUEST_TIMEOUT_MS + 200));
      return SAGA_VIEW;
    });
    expect(await gateway.get(`/api/orders/saga/${SAGA}`, { headers: { prefer: "wait=2" } })).toMatchObject({
      status: 200,
    });
    expect(await gateway.get(`/api/orders/saga/${SAGA}`)).toMatchObject({ status: 504 });
  });

  test("of what cannot be an id find nothing", async () => {
    for (const path of [
      "/orders/17",
      "/orders/saga/17",
      "/orders/17/status",
      "/orders/saga",
      "/products/17",
    ]) {
      expect(await gateway.get(`/api${path}`)).toMatchObject({
        status: 404,
        body: { code: expect.stringMatching(/_NOT_FOUND$/) },
      });
    }
    expect(gateway.participants.calls).toEqual([]);
  });

  test("take a query of known parameters only", async () => {
    const query = "status=draft&from=2026-01-01&to=2026-02-01T00:00:00Z&limit=10&cursor=abc";
    expect(await gateway.get(`/api/orders?${query}`)).toMatchObject({ status: 200 });
    expect(gateway.participants.calls[0]?.params).toEqual({
      status: "draft",
      from: "2026-01-01T00:00:00.000Z",
      to: "2026-02-01T00:00:00.000Z",
      limit: 10,
      cursor: "abc",
      customerId: CUSTOMER,
    });
    for (const bad of [
      "limit=0",
      "limit=1&limit=2",
      "limit[gt]=1",
      "sort=id",
      "status=any",
      "query={}",
      "__proto__[a]=1&limit=x",
    ]) {
      expect(await gateway.get(`/api/orders?${bad}`)).toMatchObject({
        status: 422,
        body: { code: "VALIDATION_FAILED" },
      });
    }
    expect(await gateway.get("/api/products?limit=5")).toMatchObject({ status: 200 });
    expect(await gateway.get("/api/products?threshold=5")).toMatchObject({ status: 422 });
  });

  test("of somebody else's list are refused, and one's own may be named", async () => {
    expect(await gateway.get(`/api/orders?customerId=${OTHER_CUSTOMER}`)).toMatchObject({ status: 403 });
    expect(await gateway.get(`/api/orders?customerId=${CUSTOMER}`)).toMatchObject({ status: 200 });
    const token = gateway.tokens.staff;
    expect(await gateway.get(`/api/orders?customerId=${OTHER_CUSTOMER}`, { token })).toMatchObject({
      status: 200,
    });
    expect(gateway.participants.calls.at(-1)?.params).toEqual({ customerId: OTHER_CUSTOMER });
  });

  test("need a token", async () => {
    for (const path of [
      "/orders",
      `/orders/${ORDER}`,
      `/orders/${ORDER}/status`,
      `/orders/saga/${SAGA}`,
      "/products",
      `/products/${PRODUCT}`,
    ]) {
      expect(await gateway.get(`/api${path}`, { token: "a.b.c" })).toMatchObject({ status: 401 });
    }
  });
});
