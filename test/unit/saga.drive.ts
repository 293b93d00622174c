import type { SagaDefinition } from "../../engine/define.ts";
import type { CallEffect, Effect, Input, Outcome, PublishEffect } from "../../engine/protocol.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { ErrorFacts } from "../../lib/errors.ts";

export const LEASE_MS = 4_000;
export const SAGA_ID = "0198a000-0000-7000-8000-000000000001";
export const ORDER_ID = "0198a000-0000-7000-8000-0000000000aa";
export const NOW = new Date("2026-01-02T03:04:05.000Z");

export function errorOf(type: string, retryable: boolean): ErrorFacts {
  return { type, message: `it said ${type}`, status: retryable ? 503 : 422, retryable, data: {} };
}

/** Walks one saga through inputs, as the engine would, and keeps what it asked for. */
export function drive(definition: SagaDefinition, input: unknown = {}) {
  const protocol = createSagaProtocol([definition], LEASE_MS);
  const effects: Effect[] = [];
  let events = 0;
  let outcome: Outcome<SagaInstance> = protocol.start(
    {
      id: SAGA_ID,
      type: definition.type,
      input,
      businessKey: ORDER_ID,
      ownerId: "0198a000-0000-7000-8000-0000000000bb",
      correlationId: "correlation",
    },
    NOW,
  );
  effects.push(...outcome.effects);

  const give = (next: Input) => {
    outcome = protocol.advance(outcome.instance, next, NOW);
    effects.push(...outcome.effects);
    return outcome;
  };
  const owed = (): CallEffect => {
    const [call] = protocol.owed(outcome.instance);
    if (!call) throw new Error(`nothing is owed at ${outcome.instance.step}`);
    return call;
  };
  return {
    protocol,
    give,
    owed,
    instance: () => outcome.instance,
    outcome: () => outcome,
    state: () => outcome.instance.state,
    step: () => outcome.instance.step,
    /** All effects so far. */
    effects,
    calls: () => effects.filter((effect): effect is CallEffect => effect.kind === "call"),
    published: () => effects.filter((effect): effect is PublishEffect => effect.kind === "publish"),
    status: (step: string) =>
      outcome.instance.progress.steps.find(({ name }) => name === step)?.status ?? "NONE",
    ok: (result: unknown = {}) => give({ kind: "reply", token: owed().token, reply: { ok: true, result } }),
    refuse: (type: string) =>
      give({ kind: "reply", token: owed().token, reply: { ok: false, error: errorOf(type, false) } }),
    /** A reply that tells of no decision: unreachable, timed out. */
    miss: (type = "REQUEST_TIMEOUT") =>
      give({ kind: "reply", token: owed().token, reply: { ok: false, error: errorOf(type, true) } }),
    event: (type: string, data: object = {}, eventId?: string) => {
      events += 1;
      return give({ kind: "event", eventId: eventId ?? `event-${events}`, type, data });
    },
    timer: () => give({ kind: "timer" }),
  };
}

export type Drive = ReturnType<typeof drive>;
