import { WebhookMalformedError } from "../payment.errors.ts";
import type { Operation, Provider, ProviderEvent, ProviderResult } from "./port.ts";
import { verifySignature } from "./signature.ts";
import { SIGNATURE_HEADER } from "./simulator-callbacks.ts";

/** Reads what the simulated provider sends: {id, type, attemptId?, operation?, amountMinor?, code?}. */

const OPERATIONS: readonly Operation[] = ["authorise", "capture", "void", "refund"];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function createWebhookReader(secrets: () => Promise<readonly string[]>): Provider["readWebhook"] {
  return async ({ body, headers }) => {
    verifySignature(headers[SIGNATURE_HEADER], body, await secrets(), Math.floor(Date.now() / 1_000));
    return eventOf(parse(body));
  };
}

function parse(body: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null) return { ...parsed };
  } catch {
    // Told below, in one way for all that is not an object.
  }
  throw new WebhookMalformedError("The body is not a JSON object.");
}

function eventOf({
  id,
  type,
  attemptId,
  operation,
  amountMinor,
  code,
}: Record<string, unknown>): ProviderEvent {
  if (typeof id !== "string" || id === "" || id.length > 255)
    throw new WebhookMalformedError("id is missing.");
  if (typeof type !== "string" || type === "") throw new WebhookMalformedError("type is missing.");
  const known = OPERATIONS.find((one) => one === operation);
  const outcome = type.split(".")[1];
  if (!known || (outcome !== "succeeded" && outcome !== "declined")) return { eventId: id, type };
  if (typeof attemptId !== "string" || !UUID.test(attemptId))
    throw new WebhookMalformedError("attemptId is not a UUID.");
  return {
    eventId: id,
    type,
    about: { operation: known, attemptId, result: resultOf(outcome, amountMinor, code, attemptId) },
  };
}

function resultOf(
  outcome: "succeeded" | "declined",
  amount: unknown,
  code: unknown,
  id: string,
): ProviderResult {
  if (outcome === "declined") return { kind: "declined", code: typeof code === "string" ? code : "DECLINED" };
  if (typeof amount !== "number" || !Number.isSafeInteger(amount))
    throw new WebhookMalformedError("amountMinor is not an integer.");
  return { kind: "succeeded", reference: `sim_${id}`, amountMinor: amount };
}
