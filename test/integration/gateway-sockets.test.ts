import { gzipSync } from "node:zlib";
import { http } from "../support/http.ts";
import { openRaw, requestText } from "../support/raw-http.ts";
import { BASKET, ORDER, startGateway, type TestGateway } from "../support/test-gateway.ts";
import { until } from "../support/until.ts";

/** What is done to a server on bare sockets: too slow, too large, too much at once, cut short, ambiguous. */

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({ HTTP_HEADERS_TIMEOUT_MS: "600", HTTP_REQUEST_TIMEOUT_MS: "1200" });
});

beforeEach(() => gateway.participants.reset());

afterAll(() => gateway.broker.stop());

const body = JSON.stringify(BASKET);
const json = () => ({ ...gateway.bearer(), "content-type": "application/json", "idempotency-key": "key-1" });
const order = (headers: Record<string, string> = { "content-length": String(body.length) }, sent = body) =>
  requestText("POST /api/orders", { ...json(), ...headers }, sent);
const list = () => requestText("GET /api/products", gateway.bearer());
const placed = () => gateway.participants.calls.filter(({ action }) => action === "saga.createOrder").length;
const codeOf = (text: string) => /"code":"([A-Z_]+)"/.exec(text)?.[1];

/** Sends it on a connection of its own; answers what came until that was closed. */
async function refusedOn(
  ...parts: readonly (string | Buffer)[]
): Promise<{ status?: number; code?: string }> {
  const connection = openRaw(gateway.url);
  for (const part of parts) connection.send(part);
  await connection.closed();
  return { status: connection.statuses()[0], code: codeOf(connection.text()) };
}

describe("who is slow", () => {
  test("with the headers is answered 408 and cut, and nobody else waits for that", async () => {
    const slow = openRaw(gateway.url);
    slow.send("POST /api/orders HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    expect(await gateway.get("/api/products")).toMatchObject({ status: 200 });
    await slow.closed();
    expect([slow.statuses(), codeOf(slow.text())]).toEqual([[408], "REQUEST_INCOMPLETE"]);
  });

  test("with the body is answered 408 and cut, and calls nobody", async () => {
    const slow = openRaw(gateway.url);
    slow.send(order({ "content-length": "1000" }, "{"));
    await slow.closed();
    expect(slow.statuses()).toEqual([408]);
    expect(placed()).toBe(0);
  });

  test("takes no place of those who are not", async () => {
    const own = await startGateway({ SHED_IN_FLIGHT: "2" });
    const slow = Array.from({ length: 10 }, () => {
      const connection = openRaw(own.url);
      const headers = { ...own.bearer(), "content-type": "application/json", "idempotency-key": "k" };
      connection.send(requestText("POST /api/orders", { ...headers, "content-length": "1000" }, "{"));
      return connection;
    });
    await until("they are all there", async () => {
      const connections = await new Promise<number>((resolve) =>
        (
          own.broker.getLocalService("gateway") as unknown as { server: import("node:http").Server }
        ).server.getConnections((_error, count) => resolve(count)),
      );
      return connections >= 10;
    });
    expect(await own.post("/api/orders")).toMatchObject({ status: 202 });
    for (const { socket } of slow) socket.destroy();
    await own.broker.stop();
  });
});

describe("what is too large", () => {
  test("headers over 16 KB are answered 431", async () => {
    const head = requestText("GET /api/products", { "X-Large": "x".repeat(20_000) });
    expect(await refusedOn(head)).toEqual({ status: 431, code: "HEADERS_TOO_LARGE" });
    expect(await refusedOn(requestText(`GET /api/products?cursor=${"x".repeat(20_000)}`, {}))).toEqual({
      status: 431,
      code: "HEADERS_TOO_LARGE",
    });
  });

  test("a body without an end is answered 413 after 64 KB, and its sender cut in time", async () => {
    const connection = openRaw(gateway.url);
    connection.send(requestText("POST /api/orders", { ...json(), "transfer-encoding": "chunked" }));
    const chunk = `4000\r\n${" ".repeat(0x4000)}\r\n`;
    for (let sent = 0; sent < 6; sent += 1) connection.send(chunk);
    await connection.answers(1);
    expect(connection.statuses()).toEqual([413]);
    await connection.closed();
    expect(placed()).toBe(0);
  });

  test("a body that would unpack to a thousand times its size is not unpacked", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const before = process.memoryUsage().rss;
    const headers = { ...json(), "content-encoding": "gzip" };
    const answer = await http(`${gateway.url}/api/orders`, {
      method: "POST",
      headers,
      body: bomb.subarray(0, 60_000),
    });
    expect(answer).toMatchObject({ status: 415, body: { code: "UNSUPPORTED_MEDIA_TYPE" } });
    expect(process.memoryUsage().rss - before).toBeLessThan(40_000_000);
  });
});

describe("requests on one connection", () => {
  test("sent without waiting are answered in their order", async () => {
    const connection = openRaw(gateway.url);
    const first = Promise.withResolvers<void>();
    gateway.participants.reply("product.list", async () => {
      await first.promise;
      return { items: [] };
    });
    connection.send(list() + order() + requestText("GET /api/nothing", gateway.bearer()));
    await until("the order is placed", () => placed() === 1);
    expect(connection.statuses()).toEqual([]);
    first.resolve();
    await expect(connection.answers(3)).resolves.toEqual([200, 202, 404]);
    connection.socket.destroy();
  });

  test("that ends in the middle of one leaves nothing behind", async () => {
    const connection = openRaw(gateway.url);
    connection.send(order() + order({ "content-length": "1000" }, body.slice(0, 10)));
    await expect(connection.answers(1)).resolves.toEqual([202]);
    connection.socket.destroy();
    expect(await gateway.get("/api/products")).toMatchObject({ status: 200 });
    expect(placed()).toBe(1);
  });

  test("whose client has gone is worked on to its end, and then forgotten", async () => {
    const held = Promise.withResolvers<void>();
    gateway.participants.reply("product.list", async () => {
      await held.promise;
      return { items: [] };
    });
    const connection = openRaw(gateway.url);
    connection.send(list());
    await until("it has arrived", () =>
      gateway.participants.calls.some(({ action }) => action === "product.list"),
    );
    connection.socket.destroy();
    held.resolve();
    expect(await gateway.get(`/api/orders/${ORDER}`)).toMatchObject({ status: 200 });
    const { text } = await gateway.metrics();
    expect(text).toMatch(/^holdfast_http_in_flight\{kind="working"\} 0$/m);
  });
});

describe("what may be read in two ways is not read at all:", () => {
  const smuggled = "GET /api/orders HTTP/1.1\r\nHost: a\r\n\r\n";
  const length = { "content-length": String(body.length) };

  test.each<[string, () => string]>([
    [
      "a length and chunks",
      () => order({ ...length, "transfer-encoding": "chunked" }, `0\r\n\r\n${smuggled}`),
    ],
    ["two lengths", () => order({ "content-length": "2", "Content-Length": "40" }, `{}${smuggled}`)],
    ["a length that is none", () => order({ "content-length": "+2" }, "{}")],
    ["chunks of no size", () => order({ "transfer-encoding": "chunked" }, "zz\r\n{}\r\n0\r\n\r\n")],
    [
      "an unknown transfer encoding",
      () => order({ "transfer-encoding": "chunked, identity" }, "2\r\n{}\r\n0\r\n\r\n"),
    ],
    ["a space before a colon", () => `GET /api/products HTTP/1.1\r\nHost: a\r\nAuthorization : b\r\n\r\n`],
    ["a folded header", () => `GET /api/products HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n`],
    ["a NUL in a header", () => `GET /api/products HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n`],
    ["a method that nobody knows", () => `BREW /api/products HTTP/1.1\r\nHost: a\r\n\r\n`],
    ["no HTTP", () => `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n`],
  ])("%s", async (_what, text) => {
    expect(await refusedOn(text())).toEqual({ status: 400, code: "MALFORMED_REQUEST" });
    expect(placed()).toBe(0);
  });

  test("a request without a host is answered 400", async () => {
    expect((await refusedOn("GET /api/products HTTP/1.1\r\n\r\n")).status).toBe(400);
  });
});

test("the public port knows no metrics, no probes, no upgrade and no tunnel", async () => {
  for (const path of ["/metrics", "/live", "/ready"])
    expect(await http(gateway.url + path)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
  const upgrade = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-key": "x",
    "sec-websocket-version": "13",
  };
  const connection = openRaw(gateway.url);
  connection.send(requestText("GET /api/products", { ...gateway.bearer(), ...upgrade }));
  await expect(connection.answers(1)).resolves.toEqual([200]);
  connection.socket.destroy();
  expect(
    (await refusedOn("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n")).status,
  ).toBeUndefined();
});
