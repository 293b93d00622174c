import { createCircuitBreaker } from "../../lib/circuit-breaker.ts";
import type {
  LookupResult,
  Provider,
  ProviderRequest,
  ProviderResult,
} from "../../services/payment/psp/port.ts";
import { createProviderCalls } from "../../services/payment/psp/provider-calls.ts";

/** What stands before a provider: never more than so many calls, never a wait without end, never a guess. */

const granted: ProviderResult = { kind: "succeeded", reference: "ref", amountMinor: 100 };
const request = (attemptId: string): ProviderRequest => ({
  operation: "authorise",
  attemptId,
  amountMinor: 100,
  authorisation: { id: attemptId, orderId: "o", amountMinor: 100, currency: "EUR", paymentMethod: "m" },
});

function provider(authorise: () => Promise<ProviderResult>, lookup?: () => Promise<LookupResult>): Provider {
  const refused = async (): Promise<never> => {
    throw new Error("not asked for");
  };
  return {
    name: "test",
    authorise,
    capture: refused,
    void: refused,
    refund: refused,
    lookup: lookup ?? refused,
    readWebhook: refused,
  };
}

const options = { concurrencyMax: 2, timeoutMs: 50, onError: () => undefined };

test("no more calls at once than there are places; a place that stays taken is an unknown answer", async () => {
  let running = 0;
  let most = 0;
  const calls = createProviderCalls(
    provider(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      return granted;
    }),
    // On a busy machine the last of them waits long for a place.
    { ...options, timeoutMs: 10_000 },
  );
  const results = await Promise.all(
    Array.from({ length: 10 }, (_, index) => calls.ask(request(String(index)), false)),
  );
  expect(results).toEqual(Array.from({ length: 10 }, () => granted));
  expect(most).toBe(2);
  const stuck = createProviderCalls(
    provider(() => new Promise(() => undefined)),
    options,
  );
  const [first, , third] = await Promise.all(["a", "b", "c"].map((id) => stuck.ask(request(id), false)));
  expect(first).toEqual({ kind: "unknown", code: "PSP_TIMEOUT" });
  expect(["PSP_BUSY", "PSP_TIMEOUT"]).toContain(third?.kind === "unknown" ? third.code : "");
});

test("too many in the queue are turned away before anything is asked", async () => {
  const calls = createProviderCalls(
    provider(() => new Promise(() => undefined)),
    options,
  );
  const asked = Array.from({ length: 43 }, (_, index) => calls.ask(request(String(index)), false));
  const ends = await Promise.allSettled(asked);
  const refused = ends.filter((end) => end.status === "rejected");
  expect(refused).toHaveLength(1);
  expect(refused[0]).toMatchObject({ reason: { type: "OVERLOADED", code: 503, retryable: true } });
});

test("one attempt is asked about once at a time", async () => {
  let asked = 0;
  const calls = createProviderCalls(
    provider(async () => {
      asked += 1;
      return granted;
    }),
    options,
  );
  await Promise.all([calls.ask(request("a"), false), calls.ask(request("a"), false)]);
  expect(asked).toBe(1);
});

test("what was asked before is looked up, and asked again only when the provider has never seen it", async () => {
  let asked = 0;
  const authorise = async () => {
    asked += 1;
    return granted;
  };
  const found = createProviderCalls(
    provider(authorise, async () => ({ kind: "unknown", code: "BUSY" })),
    options,
  );
  expect(await found.ask(request("a"), true)).toEqual({ kind: "unknown", code: "BUSY" });
  expect(asked).toBe(0);
  const absent = createProviderCalls(
    provider(authorise, async () => ({ kind: "absent" })),
    options,
  );
  expect(await absent.ask(request("a"), true)).toEqual(granted);
  expect(asked).toBe(1);
});

test("an error, or another amount than was asked for, is an unknown answer and reported", async () => {
  const errors: unknown[] = [];
  const reporting = { ...options, onError: (_: ProviderRequest, error: unknown) => errors.push(error) };
  const failing = createProviderCalls(
    provider(async () => {
      throw new Error("connection reset");
    }),
    reporting,
  );
  expect(await failing.ask(request("a"), false)).toEqual({ kind: "unknown", code: "PSP_ERROR" });
  const cheating = createProviderCalls(
    provider(async () => ({ ...granted, amountMinor: 1 })),
    reporting,
  );
  expect(await cheating.ask(request("a"), false)).toEqual({ kind: "unknown", code: "PSP_AMOUNT_MISMATCH" });
  expect(errors).toHaveLength(2);
});

test("a provider that does not answer is asked no more, until one question finds out that it does", async () => {
  let asked = 0;
  let isAway = true;
  let time = 0;
  const circuit = { failureShare: 0.5, callsMin: 3, windowMs: 1_000, openMs: 100, openMsMax: 100 };
  const calls = createProviderCalls(
    provider(async () => {
      asked += 1;
      if (isAway) throw new Error("away");
      return { kind: "declined", code: "NO_FUNDS", message: "" };
    }),
    { ...options, timeoutMs: 10_000, breaker: createCircuitBreaker({ ...circuit, now: () => time }) },
  );
  const ask = (id: string) => calls.ask(request(id), false);
  for (const id of ["a", "b", "c"]) expect(await ask(id)).toEqual({ kind: "unknown", code: "PSP_ERROR" });
  expect(await ask("d")).toEqual({ kind: "unknown", code: "PSP_UNAVAILABLE" });
  expect(asked).toBe(3);
  isAway = false;
  time = 100;
  // A refusal is an answer too.
  expect(await ask("e")).toMatchObject({ kind: "declined" });
  expect(await Promise.all(["f", "g"].map(ask))).toMatchObject([{ kind: "declined" }, { kind: "declined" }]);
});
