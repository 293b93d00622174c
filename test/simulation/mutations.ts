import type { SagaDefinition } from "../../engine/define.ts";
import type { Input, Instance, Protocol } from "../../engine/protocol.ts";
import type { TccProtocol } from "../../engine/tcc.ts";
import type { TccDefinition } from "../../engine/tcc-define.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";

/** Guards that a test switches off, to see that the simulation would notice. Product code stays as it is. */
export const MUTATIONS = [
  "barrier off",
  "versions ignored",
  "pivot not first",
  "deadline ignored",
  "compensations swapped",
  "late replies taken",
  "nobody wakes",
  "provider guessed",
  "held stock released",
  "refusals forgotten",
] as const;

export const MESSAGE_MUTATIONS = [
  "inbox forgets",
  "blocks ignored",
  "blocked by what is out",
  "predecessors ignored",
] as const;

export type MessageMutation = (typeof MESSAGE_MUTATIONS)[number];
export type Mutation = (typeof MUTATIONS)[number] | MessageMutation;

/** The order is asked first, and money last. */
export function withoutPivot(definition: TccDefinition): TccDefinition {
  const participants = definition.participants.map((one) => ({ ...one, pivot: one.name === "product" }));
  return { ...definition, participants };
}

/** What one step does is undone as another's. */
export function withSwappedCompensations(definition: SagaDefinition): SagaDefinition {
  const undone = definition.steps.filter(({ compensation }) => compensation !== undefined);
  const [first, second] = undone;
  if (!first || !second) return definition;
  const swapped = new Map([
    [first.name, second.compensation],
    [second.name, first.compensation],
  ]);
  const steps = definition.steps.map((step) => ({
    ...step,
    compensation: swapped.get(step.name) ?? step.compensation,
  }));
  return { ...definition, steps };
}

/** A transaction may be decided at any time. */
export function withoutDeadline(protocol: TccProtocol): TccProtocol {
  const advance = (instance: TccInstance, input: Input, now: Date) =>
    protocol.advance({ ...instance, expired: false }, input, now);
  return { ...protocol, advance };
}

/** Whatever comes is taken for the answer to what is awaited now. */
export function takingAnyReply<I extends Instance>(protocol: Protocol<I>): Protocol<I>["advance"] {
  return (instance, input, now) => {
    const [owed] = protocol.owed(instance);
    const taken = input.kind === "reply" && owed ? { ...input, token: owed.token } : input;
    return protocol.advance(instance, taken, now);
  };
}
