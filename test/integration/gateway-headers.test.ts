import { http } from "../support/http.ts";
import { openRaw } from "../support/raw-http.ts";
import { startGateway, type TestGateway } from "../support/test-gateway.ts";

/** What every answer's head says, and to whom it says more. */

const SHOP = "https://shop.example";
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({
    CORS_ORIGINS: `${SHOP},http://localhost:5173`,
    TRUSTED_PROXIES: "127.0.0.2",
  });
});

afterAll(() => gateway.broker.stop());

const STRICT = {
  "cache-control": expect.stringMatching(/^(no-store|private, no-cache)$/),
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

test("every answer is strict, whatever it is, and says nothing of what runs here", async () => {
  const answers = [
    await gateway.get("/api/products"),
    await gateway.post("/api/orders"),
    await gateway.get("/api/nothing"),
    await gateway.get("/api/products", { token: "a.b.c" }),
    await http(`${gateway.url}/`),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 202, 404, 401, 200]);
  for (const { headers } of answers) {
    expect(headers).toMatchObject(STRICT);
    for (const name of ["server", "x-powered-by", "strict-transport-security", "access-control-allow-origin"])
      expect(headers[name]).toBeUndefined();
  }
  const broken = openRaw(gateway.url);
  broken.send("nonsense\r\n\r\n");
  await broken.closed();
  for (const [name, value] of Object.entries({ ...STRICT, "cache-control": "no-store" }))
    expect(broken.text()).toContain(`${name}: ${value}`);
});

test("Strict-Transport-Security is for those who come by TLS, also to a proxy before us", async () => {
  const trusting = await startGateway({ TRUSTED_PROXIES: "127.0.0.1" });
  const by = async (one: TestGateway, proto: string) =>
    (await one.get("/api/products", { headers: { "x-forwarded-proto": proto } })).headers[
      "strict-transport-security"
    ];
  expect(await by(trusting, "https")).toBe("max-age=31536000");
  expect(await by(trusting, "http")).toBeUndefined();
  // Anybody can write that.
  expect(await by(gateway, "https")).toBeUndefined();
  await trusting.broker.stop();
});

describe("a page from elsewhere", () => {
  const preflight = (origin: string, method = "POST", at = gateway) =>
    http(`${at.url}/api/orders`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,idempotency-key",
      },
    });

  test("of an allowed origin may ask and read", async () => {
    const asked = await preflight(SHOP);
    expect(asked).toMatchObject({
      status: 204,
      headers: {
        "access-control-allow-origin": SHOP,
        "access-control-allow-methods": "GET, POST, PUT",
        vary: "Origin",
        "access-control-max-age": "600",
      },
    });
    for (const name of ["Authorization", "Idempotency-Key", "Content-Type"])
      expect(asked.headers["access-control-allow-headers"]).toContain(name);
    expect(asked.headers["access-control-allow-credentials"]).toBeUndefined();
    const answer = await gateway.post("/api/orders", { headers: { origin: SHOP } });
    expect(answer).toMatchObject({
      status: 202,
      headers: { "access-control-allow-origin": SHOP, vary: "Origin" },
    });
    expect(answer.headers["access-control-expose-headers"]).toContain("Location");
    // It may read refusals too.
    const refused = await gateway.get("/api/nothing", { headers: { origin: SHOP } });
    expect(refused.headers["access-control-allow-origin"]).toBe(SHOP);
  });

  test.each([
    "https://evil.example",
    "https://shop.example.evil.example",
    "http://shop.example",
    "https://shop.example:8443",
    "null",
  ])("of %s gets no word of it", async (origin) => {
    const asked = await preflight(origin);
    expect(asked).toMatchObject({ status: 405 });
    expect(asked.headers["access-control-allow-origin"]).toBeUndefined();
    const answer = await gateway.get("/api/products", { headers: { origin } });
    expect(answer).toMatchObject({ status: 200, headers: { vary: "Origin" } });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("is kept out of a gateway that knows no origins", async () => {
    const closed = await startGateway();
    expect(await preflight(SHOP, "POST", closed)).toMatchObject({ status: 405 });
    const answer = await closed.get("/api/products", { headers: { origin: SHOP } });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    expect(answer.headers.vary).toBeUndefined();
    await closed.broker.stop();
  });
});
