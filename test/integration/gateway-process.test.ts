import { get } from "node:https";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { portOf } from "../../lib/http-server.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { gatewayService } from "../../services/gateway/gateway.service.ts";
import { http } from "../support/http.ts";
import { makePapers } from "../support/secure-servers.ts";
import { ORDER, startGateway, type TestGateway } from "../support/test-gateway.ts";
import { makeKey, writeKeys } from "../support/tokens.ts";
import { until } from "../support/until.ts";

/** A process with a gateway in it: what its internal port tells, how it starts, and how it stops. */

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

beforeEach(() => gateway.participants.reset());

afterAll(() => gateway.broker.stop());

describe("the internal port", () => {
  const internal = (path: string) => http(gateway.internal + path);

  test("tells that the process lives and is ready", async () => {
    expect(await internal("/live")).toMatchObject({ status: 200, body: { live: true } });
    expect(await internal("/ready")).toMatchObject({
      status: 200,
      body: {
        ready: true,
        checks: { broker: { ok: true }, "service.gateway": { ok: true }, "service.saga": { ok: true } },
      },
    });
    expect(await internal("/orders")).toMatchObject({ status: 404 });
  });

  test("counts what was asked by route, never by address", async () => {
    await gateway.get(`/api/orders/${ORDER}`);
    await gateway.get("/api/no-such-thing");
    const { text } = await internal("/metrics");
    expect(text).toMatch(/^holdfast_http_requests_total\{route="orders\/:orderId",status="200"\} \d+$/m);
    expect(text).toMatch(/^holdfast_http_requests_total\{route="none",status="404"\} \d+$/m);
    expect(text).toMatch(/^holdfast_event_loop_delay_seconds\{quantile="0.99"\} [\d.e-]+$/m);
    expect(text).not.toContain(ORDER);
  });
});

describe("starting and stopping", () => {
  test("a port that is taken is told by the name of its setting", async () => {
    const taken = (setting: "PORT" | "INTERNAL_PORT") => {
      const settings = { ...gateway.settings, [setting]: portOf(gateway.broker, setting) ?? 0 };
      const broker = new ServiceBroker({ ...brokerOptions(settings), skipProcessEventRegistration: true });
      broker.createService(gatewayService(settings));
      return broker.start().finally(() => broker.stop());
    };
    for (const setting of ["PORT", "INTERNAL_PORT"] as const) {
      await expect(taken(setting)).rejects.toMatchObject({
        type: "CONFIG_INVALID",
        setting,
        message: /taken/,
      });
    }
  });

  test.each(["JWT_KEYS", "PERSONAL_DATA_KEYS"])("without %s the gateway does not start", async (setting) => {
    const jwks = setting === "JWT_KEYS" ? "" : writeKeys([(await makeKey("key-1")).jwk]);
    const env = { PORT: "auto", INTERNAL_PORT: "auto", LOG_LEVEL: "fatal", JWT_KEYS: jwks };
    const settings = loadConfig(env);
    const broker = new ServiceBroker({ ...brokerOptions(settings), skipProcessEventRegistration: true });
    broker.createService(gatewayService(settings));
    await expect(broker.start()).rejects.toMatchObject({ type: "CONFIG_INVALID", setting });
    await broker.stop();
  });

  test("a request in hand is answered, its connection ends, and no new one is taken", async () => {
    const own = await startGateway();
    const held = Promise.withResolvers<void>();
    const arrived = new Promise<void>((resolve) => {
      own.participants.reply("product.list", async () => {
        resolve();
        await held.promise;
        return { items: [] };
      });
    });
    const inHand = own.get("/api/products");
    await arrived;
    const stopped = own.broker.stop();
    expect(await http(`${own.internal}/ready`)).toMatchObject({ status: 503, body: { ready: false } });
    await until("the port is closed", () =>
      http(own.url).then(
        () => false,
        () => true,
      ),
    );
    held.resolve();
    expect(await inHand).toMatchObject({ status: 200, headers: { connection: "close" } });
    await stopped;
  });
});

test("with a certificate the API is https", async () => {
  const papers = makePapers();
  const { cert, key } = papers.issue({ name: "gateway", hosts: ["127.0.0.1"] });
  const secure = await startGateway({ TLS_CERT: cert, TLS_KEY: key });
  try {
    const options = {
      ca: papers.authority.cert,
      headers: { authorization: `Bearer ${secure.tokens.customer}` },
    };
    const status = await new Promise((resolve, reject) => {
      get(`https://127.0.0.1:${portOf(secure.broker, "PORT")}/api/products`, options, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).on("error", reject);
    });
    expect(status).toBe(200);
    await expect(http(`${secure.url}/api/products`)).rejects.toThrow();
  } finally {
    await secure.broker.stop();
  }
});
