import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, type JWK, SignJWT } from "jose";
import { DEMO_CUSTOMERS, DEMO_PRODUCTS } from "../../migrations/seeds/demo.ts";
import { atRest } from "../support/audit.ts";
import type { HttpAnswer } from "../support/http.ts";
import { countRows, ended, order, place, placedOf, productId, stockOf } from "../support/shop.ts";
import type { ApiRequest, System } from "../support/system.ts";
import { makeKey } from "../support/tokens.ts";
import type { Shared } from "../support/use-system.ts";

const { plenty, soldOut } = DEMO_PRODUCTS;
const items = [{ productId: plenty, quantity: 1 }];
const quantity = (value: unknown) => ({ items: [{ productId: plenty, quantity: value }] });
const lines = (count: number) => ({ items: Array.from({ length: count }, () => items[0]) });

interface Refusal {
  readonly name: string;
  readonly request: ApiRequest;
  readonly status: number;
  readonly code: string;
}

const invalid = (name: string, body: unknown): Refusal => ({
  name,
  request: { body },
  status: 422,
  code: "VALIDATION_FAILED",
});
const malformed = (name: string, request: ApiRequest, status: number, code: string): Refusal => ({
  name,
  request,
  status,
  code,
});

const refusals: readonly Refusal[] = [
  invalid("quantity 0", quantity(0)),
  invalid("quantity -1", quantity(-1)),
  invalid("quantity 1.5", quantity(1.5)),
  invalid('quantity "1"', quantity("1")),
  invalid("quantity 1e9", quantity(1e9)),
  invalid("quantity null", quantity(null)),
  invalid("no lines", { items: [] }),
  invalid("no items", {}),
  invalid("101 lines", lines(101)),
  invalid("a product whose lines add up to more than a line may have", {
    items: [
      { productId: plenty, quantity: 600_000 },
      { productId: plenty, quantity: 600_000 },
    ],
  }),
  invalid("a product id that is none", { items: [{ productId: "1", quantity: 1 }] }),
  invalid("SQL for a product id", { items: [{ productId: "'; drop table products; --", quantity: 1 }] }),
  invalid("an unknown field", { items, discount: 100 }),
  invalid("an unknown field in a line", { items: [{ productId: plenty, quantity: 1, priceMinor: 1 }] }),
  invalid("a list instead of an object", items),
  invalid("a null character in the address", {
    items,
    shippingAddress: { name: "A\u0000", line1: "1", city: "C", postalCode: "1", country: "PT" },
  }),
  malformed("broken JSON", { raw: '{"items":[' }, 400, "MALFORMED_JSON"),
  malformed("an empty body", { raw: "" }, 400, "MALFORMED_JSON"),
  malformed("more than 64 KB", { raw: `"${"x".repeat(66_000)}"` }, 413, "BODY_TOO_LARGE"),
  malformed(
    "a body that is not JSON by its type",
    { body: { items }, headers: { "content-type": "text/plain" } },
    415,
    "UNSUPPORTED_MEDIA_TYPE",
  ),
  malformed(
    "the order of another customer",
    { body: { items, customerId: DEMO_CUSTOMERS.other } },
    403,
    "FORBIDDEN",
  ),
  malformed("a role that may not order", { as: "operator", body: { items } }, 403, "FORBIDDEN"),
  malformed("no token", { authorization: null, body: { items } }, 401, "UNAUTHENTICATED"),
  malformed("no bearer token", { authorization: "Basic YTpi", body: { items } }, 401, "UNAUTHENTICATED"),
  malformed(
    "a token that is none",
    { authorization: "Bearer a.b.c", body: { items } },
    401,
    "UNAUTHENTICATED",
  ),
];

const keyRefusals = [
  { name: "no Idempotency-Key", key: undefined, code: "IDEMPOTENCY_KEY_MISSING" },
  { name: "an empty one", key: "", code: "IDEMPOTENCY_KEY_INVALID" },
  { name: "two of them", key: ["one", "two"], code: "IDEMPOTENCY_KEY_INVALID" },
  { name: "the same one twice", key: ["one", "one"], code: "IDEMPOTENCY_KEY_INVALID" },
  { name: "one of 256 characters", key: "k".repeat(256), code: "IDEMPOTENCY_KEY_INVALID" },
  { name: "one with a space", key: "a key", code: "IDEMPOTENCY_KEY_INVALID" },
  { name: "one beyond ASCII", key: "k\u00e9y", code: "IDEMPOTENCY_KEY_INVALID" },
];

export function badInput(shared: () => Shared): void {
  test.each(refusals)("is refused: $name", async ({ request, status, code }) => {
    const { system } = shared();
    await expectRefusal(system, { key: randomUUID(), ...request, method: "POST" }, { status, code });
  });

  test.each(keyRefusals)("is refused: $name", async ({ key, code }) => {
    await expectRefusal(shared().system, { key, body: { items } }, { status: 400, code });
  });

  test("is refused: a token of somebody else's making, an expired one, one for another audience", async () => {
    const { system } = shared();
    const issued = (claims: Claims) => demoToken(system, claims);
    const foreign = await makeKey("foreign");
    const claims = { sub: DEMO_CUSTOMERS.active, iss: "holdfast-demo", aud: "holdfast" };
    // What is changed below is all that is wrong with them.
    const good = await system.api("/orders?limit=1", { authorization: `Bearer ${await issued({})}` });
    expect(good.status).toBe(200);
    const { kid } = demoKey(system);
    const impostor = await makeKey(kid ?? "");
    const [header, payload, signature] = (await issued({})).split(".");
    const staff = Buffer.from(JSON.stringify({ ...claims, roles: ["staff"], exp: 4e9 })).toString(
      "base64url",
    );
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
    const tokens = [
      await foreign.sign(claims),
      await impostor.sign(claims),
      await issued({ expiresIn: -60 }),
      await issued({ audience: "elsewhere" }),
      await issued({ issuer: "somebody" }),
      `${header}.${staff}.${signature}`,
      `${none}.${payload}.`,
    ];
    for (const token of tokens) {
      const request = { key: randomUUID(), authorization: `Bearer ${token}`, body: { items } };
      await expectRefusal(system, request, { status: 401, code: "UNAUTHENTICATED" });
    }
  });

  test("is not: what is just within the limits", async () => {
    const { system } = shared();
    const hundred = await place(system, lines(100).items as typeof items);
    const million = await place(system, [{ productId: soldOut, quantity: 1_000_000 }]);
    expect([hundred.status, million.status]).toEqual([202, 202]);
    await expect(ended(system, placedOf(hundred).orderId)).resolves.toMatchObject({
      status: "created",
      items: [{ quantity: 100 }],
    });
    await expect(ended(system, placedOf(million).orderId)).resolves.toMatchObject({
      status: "cancelled",
      reason: { code: "OUT_OF_STOCK" },
    });
  });

  test("hides no demand: two lines of a product count as their sum", async () => {
    const { system } = shared();
    const vice = await productId(system, "VICE-125");
    const before = await stockOf(system, vice);
    const most = Math.ceil(before.available * 0.6);
    const line = { productId: vice, quantity: most };
    const { orderId } = await order(system, [line, { ...line, productId: vice.toUpperCase() }]);
    await expect(ended(system, orderId)).resolves.toMatchObject({
      status: "cancelled",
      reason: {
        code: "OUT_OF_STOCK",
        message: expect.stringContaining(`${2 * most} requested, ${before.available} available`),
      },
      items: [{ productId: vice, quantity: 2 * most }],
    });
    await expect(stockOf(system, vice)).resolves.toEqual(before);
  });
}

/** The documented answer, as a problem that tells nothing of our insides, and no row changed anywhere. */
async function expectRefusal(
  system: System,
  request: ApiRequest,
  expected: { status: number; code: string },
): Promise<void> {
  await atRest(system.sql);
  const before = await countRows(system);
  const answer = await system.api("/orders", request);
  expectProblem(answer, expected);
  await expect(countRows(system)).resolves.toEqual(before);
}

function expectProblem(answer: HttpAnswer, { status, code }: { status: number; code: string }): void {
  expect({ status: answer.status, body: answer.body }).toMatchObject({
    status,
    body: {
      type: expect.any(String),
      title: expect.any(String),
      status,
      detail: expect.any(String),
      code,
      instance: "/api/orders",
      correlationId: answer.headers["x-correlation-id"],
    },
  });
  expect(answer.headers["content-type"]).toMatch(/^application\/problem\+json/);
  expect(answer.headers["idempotent-replayed"]).toBeUndefined();
  if (code === "VALIDATION_FAILED") {
    expect(answer.body?.errors).toContainEqual({ field: expect.any(String), message: expect.any(String) });
  }
  expect(answer.text).not.toMatch(
    /\.ts\b|node_modules| {2,}at |\b(select|insert|update|delete) |\$1|\brelation "|postgres|violates/i,
  );
}

interface Claims {
  readonly expiresIn?: number;
  readonly audience?: string;
  readonly issuer?: string;
}

function demoKey(system: System): JWK {
  return JSON.parse(readFileSync(join(system.dataDir, "demo-keys", "private.json"), "utf8"));
}

/** A token as the demo itself would issue it, but for what the claims say. */
async function demoToken(
  system: System,
  { expiresIn = 600, audience = "holdfast", issuer = "holdfast-demo" }: Claims,
): Promise<string> {
  const jwk = demoKey(system);
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ roles: ["customer"] })
    .setProtectedHeader({ alg: "EdDSA", kid: jwk.kid, typ: "JWT" })
    .setSubject(DEMO_CUSTOMERS.active)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now - 3_600)
    .setExpirationTime(now + expiresIn)
    .sign(await importJWK(jwk, "EdDSA"));
}
