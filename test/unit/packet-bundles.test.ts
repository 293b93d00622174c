import type { ServiceBroker } from "moleculer";
import { packetBundles, UNDERSTANDS_BUNDLES } from "../../lib/packet-bundles.middleware.ts";
import { Bundler, bundle, unbundled } from "../../lib/packet-bundles.ts";

/** What comes out of a bundle is what went in, once and in its order; what is no bundle stays as it is. */

const packet = (text: string) => Buffer.from(JSON.stringify({ text }));
const textsOf = (data: Buffer) => unbundled(data).map((one) => JSON.parse(String(one)).text);
const round = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A bundler, and what it has sent. */
function bundlerOf(send: (texts: string[]) => unknown = () => undefined) {
  const sent: { topic: string; texts: string[] }[] = [];
  const bundler = new Bundler<null>((topic, data) => {
    const texts = textsOf(data);
    sent.push({ topic, texts });
    return send(texts);
  });
  const add = (text: string, topic = "a") => bundler.add(topic, packet(text), null);
  return { sent, add };
}

test.each([
  ["one", [""]],
  ["several", ["a", "", "packet with more in it"]],
  ["of which one is long", ["a", "x".repeat(70_000)]],
])("packets come out of a bundle as they went in: %s", (_what, texts) => {
  expect(textsOf(bundle(texts.map(packet)))).toEqual(texts);
});

test("a single packet is no bundle", () => {
  expect(unbundled(packet("alone"))).toEqual([packet("alone")]);
  expect(unbundled(Buffer.alloc(0))).toEqual([Buffer.alloc(0)]);
});

test("a bundle that was cut anywhere is refused, not read in part", () => {
  const whole = bundle([packet("first"), packet("second")]);
  const between = 1 + 4 + packet("first").length;
  for (let end = 2; end < whole.length; end += 1) {
    if (end !== between) expect(() => unbundled(whole.subarray(0, end))).toThrow(RangeError);
  }
});

test("what one batch sends travels together, a bundle to each node, in its order", async () => {
  const { sent, add } = bundlerOf();
  await Promise.all([add("1"), add("2"), add("3", "b"), add("4")]);
  expect(sent).toEqual([
    { topic: "a", texts: ["1", "2", "4"] },
    { topic: "b", texts: ["3"] },
  ]);
});

test("what is sent first in a round waits for nobody; the rest of the round travels together", async () => {
  const { sent, add } = bundlerOf();
  const first = add("1");
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(sent.map(({ texts }) => texts)).toEqual([["1"]]);
  await first;
  const later = [add("2")];
  await null;
  later.push(add("3"));
  expect(sent).toHaveLength(1);
  await round();
  await Promise.all(later);
  expect(sent.map(({ texts }) => texts)).toEqual([["1"], ["2", "3"]]);
  await round();
  await add("4");
  expect(sent.at(-1)?.texts).toEqual(["4"]);
});

test("a bundle stays well below what NATS takes, and a packet longer than that goes alone", async () => {
  const { sent, add } = bundlerOf();
  const [short, long] = ["x".repeat(100_000), "y".repeat(900_000)];
  await Promise.all([add(short), add(short), add(short), add(long), add("z")]);
  expect(sent.map(({ texts }) => texts.map(({ length }) => length))).toEqual([
    [100_000, 100_000],
    [100_000],
    [900_000],
    [1],
  ]);
});

test("a bundle that cannot be sent fails each of its packets, and no other", async () => {
  const { sent, add } = bundlerOf((texts) => {
    if (texts.includes("1")) throw new Error("the connection is gone");
  });
  const [one, two, three] = [add("1"), add("2"), add("3", "b")];
  await expect(one).rejects.toThrow("gone");
  await expect(two).rejects.toThrow("gone");
  await expect(three).resolves.toBeUndefined();
  expect(sent).toHaveLength(2);
});

describe("between nodes", () => {
  type Sending = (topic: string, data: Buffer, meta: object) => Promise<void>;

  /** The middleware of a node that knows these others, and what leaves it. */
  function node(others: Readonly<Record<string, object>>) {
    const middleware = packetBundles();
    const warned: string[] = [];
    const nodes = new Map(Object.entries(others).map(([id, metadata]) => [id, { metadata }]));
    const logger = { warn: (...args: unknown[]) => warned.push(args.join(" ")) };
    middleware.created?.({ registry: { nodes }, logger } as unknown as ServiceBroker);
    const left: Buffer[] = [];
    const wrapped = middleware as unknown as Record<
      "transporterSend" | "transporterReceive",
      (next: unknown) => unknown
    >;
    const send = wrapped.transporterSend((_topic: string, data: Buffer) => left.push(data)) as Sending;
    const heard: string[] = [];
    const receive = wrapped.transporterReceive((type: string, data: Buffer) =>
      heard.push(`${type} ${data}`),
    ) as (type: string, data: Buffer) => void;
    const say = (type: string, target: string | null) =>
      send(`${type}.${target}`, packet(type), { packet: { type, target } });
    return { say, left, receive, heard, warned };
  }

  test.each([
    ["calls to a node that understands them", "REQ", "new", 1],
    ["answers to it", "RES", "new", 1],
    ["calls to a node of an earlier version", "REQ", "old", 2],
    ["calls to a node that nobody knows yet", "REQ", "unknown", 2],
    ["heartbeats, which go to all", "HEARTBEAT", null, 2],
  ])("%s", async (_what, type, target, messages) => {
    const { say, left } = node({ new: UNDERSTANDS_BUNDLES, old: {} });
    await Promise.all([say(type, target), say(type, target)]);
    expect(left).toHaveLength(messages);
    expect(left.flatMap((data) => unbundled(data))).toEqual([packet(type), packet(type)]);
  });

  test("each packet of a bundle is handed on; a bundle that cannot be read is told of, and the next one heard", () => {
    const { receive, heard, warned } = node({});
    receive("REQ", bundle([packet("a"), packet("b")]));
    receive("RES", bundle([packet("c")]).subarray(0, -1));
    receive("RES", packet("d"));
    expect(heard).toEqual([`REQ ${packet("a")}`, `REQ ${packet("b")}`, `RES ${packet("d")}`]);
    expect(warned).toHaveLength(1);
  });
});
