import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { defineService } from "../../lib/define.ts";
import { SilentNodes } from "../../lib/silent-nodes.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { until } from "../support/until.ts";

const nodes = (...ids: string[]) => ids.map((id) => ({ id }));

describe("a node that let a call's time run out", () => {
  test("is asked last, until some time has passed or it is heard of", () => {
    let now = 0;
    const silent = new SilentNodes(() => now);
    const all = nodes("one", "other");
    expect(silent.among(all)).toBe(all);
    silent.timedOut("one");
    expect(silent.among(all)).toEqual(nodes("other"));
    silent.heard("one");
    expect(silent.among(all)).toEqual(all);
    silent.timedOut("one");
    now = 9_999;
    expect(silent.among(all)).toEqual(nodes("other"));
    now = 10_000;
    expect(silent.among(all)).toEqual(all);
  });

  test("is asked when nobody else is there", () => {
    const silent = new SilentNodes(() => 0);
    silent.timedOut("one");
    silent.timedOut("other");
    expect(silent.among(nodes("one", "other"))).toEqual(nodes("one", "other"));
  });
});

test("of two replicas the one that went without a word costs one call its time, and no more", async () => {
  const asked: string[] = [];
  const start = async (NODE_ID: string) => {
    const env = { NODE_ID, INTERNAL_PORT: "auto", REQUEST_TIMEOUT_MS: "300", LOG_LEVEL: "fatal" };
    const options = { ...brokerOptions(loadConfig(env)), skipProcessEventRegistration: true };
    const broker = new ServiceBroker({ ...options, transporter: { type: "Fake" } });
    const handler = () => asked.push(NODE_ID);
    if (NODE_ID !== "caller")
      broker.createService(
        defineService()({ name: "replicated", actions: { call: { callers: ["order"], handler } } }),
      );
    await broker.start();
    return broker;
  };
  const brokers = [await start("caller"), await start("dead"), await start("works")] as const;
  const [caller, dead] = brokers;
  const available = () => caller.registry.getNodeList({ onlyAvailable: true, withServices: true });
  await until("all hear of each other", () => available().length === 3);
  await caller.waitForServices("replicated", 5_000, 20);
  if (dead.transit) dead.transit.publish = () => Promise.resolve();
  const outcomes: string[] = [];
  for (let call = 0; call < 20; call += 1) {
    const calling = caller.call<number, object>("replicated.call", {}, { caller: "order" });
    outcomes.push(await calling.then(String, (error: Error) => error.name));
  }
  expect(outcomes.filter((outcome) => outcome === "RequestTimeoutError")).toHaveLength(1);
  expect(asked.filter((one) => one === "dead")).toHaveLength(1);
  for (const broker of brokers) await broker.stop();
});
