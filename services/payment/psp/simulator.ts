import { createHash } from "node:crypto";
import { v5 as uuidv5 } from "uuid";
import { createBatcher } from "../../../lib/batcher.ts";
import { type Database, type Tx, withTransaction } from "../../../lib/database.ts";
import type { LookupResult, Provider, ProviderRequest, ProviderResult } from "./port.ts";
import {
  accountSecret,
  type Charge,
  type ChargeOperation,
  findCharges,
  findOperations,
  insertCharges,
  insertOperations,
  lockCharges,
  type NewCharge,
  updateCharges,
} from "./simulator.store.ts";
import { createCallbacks, type Deliver, insertCallbacks } from "./simulator-callbacks.ts";
import { createWebhookReader } from "./simulator-webhook.ts";

export interface SimulatorOptions {
  /** A pool of the simulator's own. */
  readonly database: Database;
  /** Percentage of captures that are granted. */
  readonly captureSuccessRate: number;
  /** Secrets that webhooks are signed with, the newest first; none: the account's own. */
  readonly webhookSecrets: readonly string[];
  readonly deliver: Deliver;
  readonly onError: (error: unknown) => void;
}

/** How a payment method token behaves at the authorisation. */
const METHODS: Readonly<Record<string, Pick<NewCharge, "status" | "code" | "decidedInMs">>> = {
  sim_declined: { status: "declined", code: "CARD_DECLINED", decidedInMs: 0 },
  // Its mind is made up, and its answer on the way, after 31 seconds.
  sim_slow: { status: "processing", code: null, decidedInMs: 31_000 },
  sim_callback: { status: "processing", code: null, decidedInMs: 300 },
};
const GRANTED = { status: "authorised", code: null, decidedInMs: 0 } as const;
const CALLBACK_DELAY_MS = 300;
const EVENT_NAMESPACE = "6b7a3b52-2b5e-4e0c-9a2e-0b6a3a1b8f11";

/**
 * A provider that behaves as its payment method tokens say: sim_ok, sim_declined, sim_capture_declined, sim_slow,
 * sim_timeout_after_effect, sim_callback; any other token is good. Its books are durable, so it recognises keys
 * across restarts, and what it has not answered is done all the same.
 */
export function createSimulator(options: SimulatorOptions): Provider {
  const { database } = options;
  const authorise = createBatcher<ProviderRequest, ProviderResult>({
    name: "psp.authorise",
    run: (requests) => authoriseAll(database, requests),
  });
  const operate = createBatcher<ProviderRequest, ProviderResult>({
    name: "psp.operate",
    run: (requests) => operateAll(options, requests),
  });
  const lookup = createBatcher<ProviderRequest, LookupResult>({
    name: "psp.lookup",
    run: (requests) => lookupAll(database, requests),
  });
  const secrets = async () =>
    options.webhookSecrets.length > 0 ? options.webhookSecrets : [await accountSecret(database)];
  const callbacks = createCallbacks({
    database,
    secret: async () => (await secrets())[0] ?? "",
    deliver: options.deliver,
    onError: options.onError,
  });
  return {
    name: "simulator",
    authorise: async (request, signal) => answered(request, await authorise(request), signal),
    capture: async (request, signal) => answered(request, await operate(request), signal),
    void: (request) => operate(request),
    refund: async (request, signal) => answered(request, await operate(request), signal),
    lookup: (request) => lookup(request),
    readWebhook: createWebhookReader(secrets),
    async start() {
      callbacks.start();
    },
    async stop() {
      await callbacks.stop();
      await database.close();
    },
  };
}

/** Its answer, or the silence that some methods are for. The effect is there either way. */
function answered(request: ProviderRequest, result: ProviderResult, signal: AbortSignal) {
  const { paymentMethod } = request.authorisation;
  const silent =
    paymentMethod === "sim_timeout_after_effect" ||
    (paymentMethod === "sim_slow" && request.operation === "authorise" && result.kind === "unknown");
  if (!silent) return result;
  return new Promise<ProviderResult>((resolve) => {
    signal.addEventListener("abort", () => resolve({ kind: "unknown", code: "PSP_TIMEOUT" }));
  });
}

function resultOf(charge: Charge | undefined): LookupResult {
  if (!charge) return { kind: "absent" };
  if (charge.status === "processing") return { kind: "unknown", code: "PSP_PROCESSING" };
  // A charge that was voided before it was made has no amount.
  if (charge.status === "declined" || charge.amountMinor === 0)
    return { kind: "declined", code: charge.code ?? "VOIDED_BEFORE" };
  return { kind: "succeeded", reference: `sim_${charge.id}`, amountMinor: charge.amountMinor };
}

function outcomeOf({ id, amountMinor, code }: ChargeOperation): ProviderResult {
  return code === null
    ? { kind: "succeeded", reference: `sim_${id}`, amountMinor }
    : { kind: "declined", code };
}

async function authoriseAll(database: Database, requests: readonly ProviderRequest[]) {
  const unique = new Map(requests.map((request) => [request.attemptId, request]));
  const charges = [...unique.values()].map(newCharge);
  const callsBack = charges.some(({ method }) => method === "sim_callback");
  const fresh = callsBack
    ? await withTransaction(database, (tx) => chargeAndCallBack(tx, charges))
    : await insertCharges(database, charges);
  const known = charges.filter(({ id }) => !fresh.has(id)).map(({ id }) => id);
  const before = known.length > 0 ? await findCharges(database, known) : new Map<string, Charge>();
  const made = new Map(
    charges.map((charge) => [charge.id, { ...charge, capturedMinor: 0, refundedMinor: 0 }]),
  );
  return requests.map(({ attemptId }) => present(resultOf(before.get(attemptId) ?? made.get(attemptId))));
}

async function chargeAndCallBack(tx: Tx, charges: readonly NewCharge[]): Promise<ReadonlySet<string>> {
  const fresh = await insertCharges(tx, charges);
  const callingBack = charges.filter(({ id, method }) => method === "sim_callback" && fresh.has(id));
  insertCallbacks(tx, callingBack.map(callbackOf), CALLBACK_DELAY_MS);
  return fresh;
}

function newCharge({ attemptId, amountMinor, authorisation }: ProviderRequest): NewCharge {
  const { currency, paymentMethod } = authorisation;
  return {
    id: attemptId,
    amountMinor,
    currency,
    method: paymentMethod,
    ...(METHODS[paymentMethod] ?? GRANTED),
  };
}

function callbackOf({ id: attemptId, amountMinor, currency }: NewCharge) {
  const id = uuidv5(`${attemptId} authorise`, EVENT_NAMESPACE);
  const event = { id, type: "authorise.succeeded", attemptId, operation: "authorise", amountMinor, currency };
  return { id, body: JSON.stringify(event) };
}

function present(result: LookupResult): ProviderResult {
  return result.kind === "absent" ? { kind: "unknown", code: "PSP_ERROR" } : result;
}

/** Captures, voids and refunds, in the order they came; each key once. */
async function operateAll(
  { database, captureSuccessRate }: SimulatorOptions,
  requests: readonly ProviderRequest[],
) {
  const chargeIds = [...new Set(requests.map(({ authorisation }) => authorisation.id))].sort();
  return withTransaction(database, async (tx) => {
    // A void before its charge leaves a mark that the late charge runs into.
    const tombstones = requests.filter(({ operation }) => operation === "void").map(tombstoneOf);
    await insertCharges(tx, [...new Map(tombstones.map((one) => [one.id, one])).values()]);
    const attemptIds = requests.map(({ attemptId }) => attemptId);
    // Sent together, read under the locks: a repetition that ran at the same time has committed by then.
    const [charges, operations] = await Promise.all([
      lockCharges(tx, chargeIds),
      findOperations(tx, attemptIds),
    ]);
    const known = new Map(operations);
    const done: ChargeOperation[] = [];
    const changed = new Map<string, Charge>();
    for (const request of requests) {
      if (known.has(request.attemptId)) continue;
      const charge = charges.get(request.authorisation.id);
      const { code, next } = operateOn(charge, request, captureSuccessRate);
      const { attemptId: id, amountMinor, authorisation, operation } = request;
      if (operation === "authorise") throw new TypeError("an authorisation is not an operation on a charge");
      const noted = { id, chargeId: authorisation.id, operation, amountMinor, code };
      done.push(noted);
      known.set(id, noted);
      if (!next) continue;
      charges.set(next.id, next);
      changed.set(next.id, next);
    }
    insertOperations(tx, done);
    updateCharges(tx, [...changed.values()]);
    return requests.map(({ attemptId }) => {
      const operation = known.get(attemptId);
      return operation ? outcomeOf(operation) : new Error("an operation was lost");
    });
  });
}

function tombstoneOf({ authorisation }: ProviderRequest): NewCharge {
  const { id, currency, paymentMethod } = authorisation;
  return {
    id,
    status: "voided",
    amountMinor: 0,
    currency,
    method: paymentMethod,
    code: "VOIDED_BEFORE",
    decidedInMs: 0,
  };
}

interface Operated {
  readonly code: string | null;
  readonly next?: Charge;
}

function operateOn(charge: Charge | undefined, request: ProviderRequest, successRate: number): Operated {
  if (!charge) return { code: "CHARGE_UNKNOWN" };
  const { attemptId, amountMinor, operation } = request;
  if (operation === "void") {
    if (charge.status === "captured") return { code: "CHARGE_CAPTURED" };
    return { code: null, next: charge.status === "declined" ? charge : { ...charge, status: "voided" } };
  }
  if (operation === "capture") {
    if (charge.status !== "authorised") return { code: `CHARGE_${charge.status.toUpperCase()}` };
    if (amountMinor > charge.amountMinor) return { code: "AMOUNT_TOO_LARGE" };
    const declined = charge.method === "sim_capture_declined" || share(attemptId) >= successRate;
    if (declined) return { code: "CAPTURE_DECLINED" };
    return { code: null, next: { ...charge, status: "captured", capturedMinor: amountMinor } };
  }
  const refundedMinor = charge.refundedMinor + amountMinor;
  if (refundedMinor > charge.capturedMinor) return { code: "REFUND_TOO_LARGE" };
  return { code: null, next: { ...charge, refundedMinor } };
}

/** 0..99, always the same for a key: a refusal must not become a success by asking again. */
function share(key: string): number {
  return createHash("sha256").update(key).digest().readUInt32BE(0) % 100;
}

async function lookupAll(database: Database, requests: readonly ProviderRequest[]): Promise<LookupResult[]> {
  const ids = requests.map(({ attemptId }) => attemptId);
  const [charges, operations] = await Promise.all([
    findCharges(database, ids),
    findOperations(database, ids),
  ]);
  return requests.map(({ attemptId, operation }) => {
    if (operation === "authorise") return resultOf(charges.get(attemptId));
    const known = operations.get(attemptId);
    return known ? outcomeOf(known) : { kind: "absent" };
  });
}
