import { randomUUID } from "node:crypto";
import type { ProviderRequest } from "../../services/payment/psp/port.ts";
import { createSimulator } from "../../services/payment/psp/simulator.ts";
import { useServer } from "../support/service-database.ts";

/** The simulated provider by itself: keys, tokens, and books that outlive it. */

const server = useServer();
const signal = new AbortController().signal;

async function open() {
  const { open: pool } = await server.fresh("payment");
  return (captureSuccessRate = 100) =>
    createSimulator({
      database: pool({ connectionsMax: 4 }),
      captureSuccessRate,
      webhookSecrets: ["secret"],
      deliver: async () => undefined,
      onError: () => undefined,
    });
}

function authorisation(paymentMethod = "sim_ok", amountMinor = 100): ProviderRequest {
  const id = randomUUID();
  const own = { id, orderId: randomUUID(), amountMinor, currency: "EUR", paymentMethod };
  return { operation: "authorise", attemptId: id, amountMinor, authorisation: own };
}

function followUp(
  request: ProviderRequest,
  operation: ProviderRequest["operation"],
  amountMinor = 100,
): ProviderRequest {
  return { ...request, operation, attemptId: randomUUID(), amountMinor };
}

test("a key means one operation, also after a restart", async () => {
  const start = await open();
  const request = authorisation();
  const first = await start().authorise(request, signal);
  const restarted = start();
  expect(await restarted.authorise({ ...request, amountMinor: 7 }, signal)).toEqual(first);
  const capture = followUp(request, "capture");
  const captured = await Promise.all(Array.from({ length: 5 }, () => restarted.capture(capture, signal)));
  expect(new Set(captured.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(await start().lookup(capture, signal)).toEqual(captured[0]);
  expect(await restarted.capture(followUp(request, "capture"), signal)).toEqual({
    kind: "declined",
    code: "CHARGE_CAPTURED",
  });
  expect(await restarted.void(followUp(request, "void"), signal)).toEqual({
    kind: "declined",
    code: "CHARGE_CAPTURED",
  });
  expect(await restarted.lookup(authorisation(), signal)).toEqual({ kind: "absent" });
});

test("it gives back no more than it took", async () => {
  const simulator = (await open())();
  const request = authorisation();
  await simulator.authorise(request, signal);
  expect(await simulator.refund(followUp(request, "refund", 1), signal)).toMatchObject({
    code: "REFUND_TOO_LARGE",
  });
  await simulator.capture(followUp(request, "capture"), signal);
  const refunds = Array.from({ length: 5 }, () => simulator.refund(followUp(request, "refund", 30), signal));
  const results = await Promise.all(refunds);
  expect(results.filter(({ kind }) => kind === "succeeded")).toHaveLength(3);
});

test("a void that comes before its authorisation stands in its way", async () => {
  const simulator = (await open())();
  const request = authorisation();
  expect(await simulator.void(followUp(request, "void"), signal)).toMatchObject({ kind: "succeeded" });
  expect(await simulator.authorise(request, signal)).toEqual({ kind: "declined", code: "VOIDED_BEFORE" });
});

test("sim_slow answers nothing for 30 seconds, then it was granted", async () => {
  const { url, open: pool } = await server.fresh("payment");
  const simulator = createSimulator({
    database: pool(),
    captureSuccessRate: 100,
    webhookSecrets: ["secret"],
    deliver: async () => undefined,
    onError: () => undefined,
  });
  const request = authorisation("sim_slow");
  const abort = new AbortController();
  const answer = simulator.authorise(request, abort.signal);
  expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, "silence"))])).toBe(
    "silence",
  );
  expect(await simulator.lookup(request, signal)).toEqual({ kind: "unknown", code: "PSP_PROCESSING" });
  abort.abort();
  const { run } = await import("../support/service-database.ts");
  const [charge] = await run<{ seconds: number }>(
    url,
    "select extract(epoch from decided_at - created_at)::int as seconds from psp_simulator.charges",
  );
  expect(charge?.seconds).toBeGreaterThan(30);
  await run(url, "update psp_simulator.charges set decided_at = now()");
  expect(await simulator.lookup(request, signal)).toMatchObject({ kind: "succeeded" });
});

test.each([
  [0, 0, 0],
  [80, 130, 190],
  [100, 200, 200],
])(
  "of 200 captures at a rate of %d%% between %d and %d succeed, and the same ones when asked again",
  async (rate, min, max) => {
    const simulator = (await open())(rate);
    const requests = Array.from({ length: 200 }, () => authorisation());
    await Promise.all(requests.map((request) => simulator.authorise(request, signal)));
    const captures = requests.map((request) => followUp(request, "capture"));
    const results = await Promise.all(captures.map((capture) => simulator.capture(capture, signal)));
    const granted = results.filter(({ kind }) => kind === "succeeded").length;
    expect(granted).toBeGreaterThanOrEqual(min);
    expect(granted).toBeLessThanOrEqual(max);
    expect(await Promise.all(captures.map((capture) => simulator.capture(capture, signal)))).toEqual(results);
  },
);
