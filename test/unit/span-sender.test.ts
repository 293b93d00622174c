import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { otlpBody } from "../../lib/tracing/otlp.ts";
import { createSpanSender } from "../../lib/tracing/span-sender.ts";
import type { SpanRecord } from "../../lib/tracing/tracing.ts";
import { zipkinBody } from "../../lib/tracing/zipkin.ts";
import { until } from "../support/until.ts";

const span = (name: string, more: Partial<SpanRecord> = {}): SpanRecord => ({
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  name,
  kind: "internal",
  service: "order",
  startMs: 1_700_000_000_000.125,
  endMs: 1_700_000_000_002.5,
  attributes: { orderId: "o-1", "batch.size": 3, share: 0.5, live: true, missing: undefined },
  ...more,
});

const full = span("publish", {
  kind: "producer",
  parentId: "00f067aa0ba902b7",
  links: [{ traceId: "1".repeat(32), spanId: "2".repeat(16) }],
  error: "BUS_UNAVAILABLE",
});

test("spans go to Zipkin as its API v2 has them", () => {
  expect(JSON.parse(zipkinBody([full]))).toEqual([
    {
      traceId: full.traceId,
      id: full.spanId,
      parentId: full.parentId,
      name: "publish",
      kind: "PRODUCER",
      timestamp: 1_700_000_000_000_125,
      duration: 2_375,
      localEndpoint: { serviceName: "order" },
      tags: {
        orderId: "o-1",
        "batch.size": "3",
        share: "0.5",
        live: "true",
        links: `${"1".repeat(32)}/${"2".repeat(16)}`,
        error: "BUS_UNAVAILABLE",
      },
    },
  ]);
});

test("spans go by OTLP as its JSON has them, each service a resource", () => {
  const body = JSON.parse(otlpBody([full, span("saga", { service: "saga" })]));
  expect(body.resourceSpans.map((one: { resource: object }) => one.resource)).toEqual(
    ["order", "saga"].map((service) => ({
      attributes: [
        { key: "service.name", value: { stringValue: service } },
        { key: "service.namespace", value: { stringValue: "holdfast" } },
      ],
    })),
  );
  expect(body.resourceSpans[0].scopeSpans[0].spans).toEqual([
    {
      traceId: full.traceId,
      spanId: full.spanId,
      parentSpanId: full.parentId,
      flags: 1,
      name: "publish",
      kind: 4,
      startTimeUnixNano: "1700000000000125000",
      endTimeUnixNano: "1700000000002500000",
      attributes: [
        { key: "orderId", value: { stringValue: "o-1" } },
        { key: "batch.size", value: { intValue: "3" } },
        { key: "share", value: { doubleValue: 0.5 } },
        { key: "live", value: { boolValue: true } },
      ],
      links: [{ traceId: "1".repeat(32), spanId: "2".repeat(16), flags: 1 }],
      status: { code: 2, message: "BUS_UNAVAILABLE" },
    },
  ]);
});

describe("a collector", () => {
  let server: Server;
  let statuses: number[];
  const received: string[][] = [];
  let authorization: string | undefined;
  beforeEach(async () => {
    statuses = [];
    received.length = 0;
    server = createServer((request, response) => {
      authorization = request.headers.authorization;
      let text = "";
      request.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
      });
      request.on("end", () => {
        const status = statuses.shift() ?? 202;
        if (status < 300) received.push(JSON.parse(text).map(({ name }: { name: string }) => name));
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const problems: { readonly problem: string; readonly lost: number }[] = [];
  const senderTo = (queueMax?: number) => {
    problems.length = 0;
    const { port } = server.address() as AddressInfo;
    return createSpanSender({
      url: `http://127.0.0.1:${port}/spans`,
      headers: { authorization: "key" },
      body: zipkinBody,
      intervalMs: 5,
      ...(queueMax !== undefined && { queueMax }),
      onError: (problem, lost) => problems.push({ problem, lost }),
    });
  };

  test("gets everything, 512 at a time, the rest when we stop", async () => {
    const sender = senderTo();
    for (let index = 0; index < 1_100; index += 1) sender.send(span(`s${index}`));
    await sender.stop();
    expect(received.map((names) => names.length)).toEqual([512, 512, 76]);
    expect(received.flat()).toEqual(Array.from({ length: 1_100 }, (_, index) => `s${index}`));
    expect(authorization).toBe("key");
    expect(problems).toEqual([]);
  });

  test("that is away for a while gets them later, in their order", async () => {
    statuses = [503, 429];
    const sender = senderTo();
    sender.send(span("a"));
    await until("it was asked", () => problems.length > 0);
    sender.send(span("b"));
    await until("it has both", () => received.flat().length === 2);
    expect(received.flat()).toEqual(["a", "b"]);
    expect(problems.map(({ lost }) => lost)).toEqual([0, 0]);
    await sender.stop();
  });

  test("that stays away costs the oldest ones, and no more", async () => {
    statuses = [503];
    const sender = senderTo(3);
    for (const name of ["a", "b", "c", "d", "e"]) sender.send(span(name));
    await until("they are told of", () => problems.length > 0);
    await until("it has the others", () => received.flat().length === 3);
    expect(received.flat()).toEqual(["c", "d", "e"]);
    expect(problems).toEqual([{ problem: "the collector answers 503", lost: 2 }]);
    await sender.stop();
  });

  test("that refuses some is not asked again, and that is told", async () => {
    statuses = [400];
    const sender = senderTo();
    sender.send(span("a"));
    await until("it is told of", () => problems.length > 0);
    sender.send(span("b"));
    await sender.stop();
    expect(received.flat()).toEqual(["b"]);
    expect(problems).toEqual([{ problem: "the collector refuses spans with 400", lost: 1 }]);
  });
});
