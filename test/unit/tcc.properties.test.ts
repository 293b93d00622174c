import fc from "fast-check";
import type { Input, OperatorAction, Outcome, Reply } from "../../engine/protocol.ts";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccDefinition, TccParticipantDefinition } from "../../engine/tcc-define.ts";
import type { TccInstance, TccState } from "../../engine/tcc-instance.ts";
import { errorOf, NOW, ORDER_ID } from "./saga.drive.ts";

/**
 * Any definition, any inputs in any order, and crashes that forget what was not durable: the decision is never
 * reversed, the pivot confirms first and alone, and fair answers then end every transaction for all alike.
 */

const participant = (name: string, pivot: boolean): TccParticipantDefinition => {
  const operation = (phase: string) => ({ action: `${name}.${phase}`, params: () => ({}) });
  return {
    name,
    pivot,
    operations: { try: operation("try"), confirm: operation("confirm"), cancel: operation("cancel") },
  };
};

const definitions: fc.Arbitrary<TccDefinition> = fc
  .record({ count: fc.integer({ min: 1, max: 4 }), pivot: fc.nat() })
  .map(({ count, pivot }) => ({
    type: "ANY",
    deadlineMs: 60_000,
    participants: Array.from({ length: count }, (_, index) =>
      participant(`p${index}`, index === pivot % count),
    ),
  }));

type Answer = "ok" | "refused" | "transient";
/** `which` chooses among all calls ever asked: duplicates and late replies of older attempts are among them. */
type Step =
  | { kind: "reply"; which: number; answer: Answer }
  | { kind: "operator"; action: OperatorAction }
  | { kind: "timer" }
  | { kind: "cancel" }
  | { kind: "event" }
  | { kind: "expire" }
  | { kind: "crash" };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant("reply" as const),
        which: fc.nat(8),
        answer: fc.constantFrom<Answer>("ok", "ok", "ok", "refused", "transient"),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("operator" as const),
        action: fc.constantFrom<OperatorAction>("retry", "skip", "compensate", "force-cancel"),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom<Step>(
        { kind: "timer" },
        { kind: "expire" },
        { kind: "crash" },
        { kind: "cancel" },
        { kind: "event" },
      ),
    },
  ),
  { maxLength: 60 },
);

const NEXT: Readonly<Partial<Record<TccState, readonly TccState[]>>> = {
  TRYING: ["TRYING", "CONFIRMING", "CANCELLING"],
  CONFIRMING: ["CONFIRMING", "CONFIRMED", "CANCELLING"],
  CANCELLING: ["CANCELLING", "CANCELLED"],
  CONFIRMED: ["CONFIRMED"],
  CANCELLED: ["CANCELLED"],
};

/** One transaction among participants that keep to their barrier: a definite answer is given again. */
class World {
  private readonly definition: TccDefinition;
  private readonly protocol;
  private readonly definite = new Map<string, Reply>();
  readonly asked: string[] = [];
  instance: TccInstance;
  private saved: TccInstance;
  forced = false;

  constructor(definition: TccDefinition, tryAttemptsMax: number) {
    this.definition = definition;
    this.protocol = createTccProtocol([definition], { leaseMs: 4_000, callTimeoutMs: 5_000, tryAttemptsMax });
    const started = this.protocol.start(
      { id: "gid", type: "ANY", input: {}, businessKey: ORDER_ID, ownerId: "o", correlationId: "c" },
      NOW,
    );
    this.instance = started.instance;
    this.saved = started.instance;
    this.keep(started);
  }

  take(step: Step): void {
    if (step.kind === "crash") {
      // What is lost may be repeated, but no state was entered without being saved.
      expect(this.saved.state).toBe(this.instance.state);
      this.instance = this.saved;
    } else if (step.kind === "expire") {
      this.instance = { ...this.instance, expired: true };
      this.saved = { ...this.saved, expired: true };
    } else this.give(this.inputOf(step));
  }

  private inputOf(step: Exclude<Step, { kind: "crash" } | { kind: "expire" }>): Input {
    if (step.kind === "reply") {
      const token = this.asked.at(-1 - (step.which % this.asked.length)) ?? "";
      return { kind: "reply", token, reply: this.answer(token, step.answer) };
    }
    if (step.kind === "operator") return step;
    if (step.kind === "cancel") return { kind: "cancel", code: "ANY", message: "any" };
    return step.kind === "event" ? { kind: "event", eventId: "e", type: "ANY", data: {} } : { kind: "timer" };
  }

  answerOwed(): void {
    for (const { token } of this.protocol.owed(this.instance)) {
      this.give({ kind: "reply", token, reply: this.answer(token, "ok") });
    }
  }

  private answer(token: string, wanted: Answer): Reply {
    const [phase, name] = token.split(":");
    const key = `${phase}:${name}`;
    const known = this.definite.get(key);
    if (wanted === "transient") return { ok: false, error: errorOf("ANY", true) };
    if (known) return known;
    const reply: Reply =
      wanted === "ok" ? { ok: true, result: {} } : { ok: false, error: errorOf("ANY", false) };
    // A refusal that must not be final (a confirm after the pivot's, a cancel) may yet turn into a success.
    if (reply.ok || phase === "try" || (phase === "confirm" && name === this.pivot())) {
      this.definite.set(key, reply);
    }
    return reply;
  }

  private give(input: Input): void {
    const before = this.instance;
    const awaited = this.protocol.owed(before).map(({ token }) => token);
    const outcome = this.protocol.advance(before, input, NOW);
    if (input.kind === "reply" && !awaited.includes(input.token)) expect(outcome.changed).toBe(false);
    if (input.kind === "operator" && input.action === "force-cancel") {
      this.forced ||= before.state === "CANCELLING";
    }
    this.checkMove(before, outcome, input);
    if (input.kind === "operator" && input.action === "retry") {
      // Otherwise an answer that has been on its way since before would pass for an answer to these.
      for (const { token } of this.protocol.owed(outcome.instance)) expect(this.asked).not.toContain(token);
    }
    this.instance = outcome.instance;
    this.keep(outcome);
    this.checkState();
  }

  private keep({ instance, effects, durable }: Outcome<TccInstance>): void {
    if (durable) this.saved = instance;
    for (const effect of effects) {
      if (effect.kind !== "call") throw new Error("a TCC publishes nothing");
      const cancelled = this.asked.some((token) => token.startsWith("cancel:"));
      if (effect.token.startsWith("confirm:")) expect(cancelled).toBe(false);
      if (effect.token.startsWith("cancel:")) expect(this.confirmsBeyondPivot()).toEqual([]);
      this.asked.push(effect.token);
    }
  }

  private confirmsBeyondPivot(): string[] {
    return this.asked.filter(
      (token) => token.startsWith("confirm:") && !token.startsWith(`confirm:${this.pivot()}:`),
    );
  }

  private checkMove(before: TccInstance, outcome: Outcome<TccInstance>, input: Input): void {
    const after = outcome.instance;
    expect(NEXT[before.state]).toContain(after.state);
    expect([after.version, after.published]).toEqual([before.version, 0]);
    if (!outcome.changed) expect([after, outcome.effects]).toEqual([before, []]);
    if (after.state !== before.state) expect(outcome.durable).toBe(true);
    if (before.state === "TRYING" && after.state === "CONFIRMING") expect(before.expired).toBe(false);
    if (before.state === "CONFIRMING" && after.state === "CANCELLING") {
      // Only the pivot's own certain refusal ends a confirm so: no timer, deadline or operator does.
      expect(input).toMatchObject({ kind: "reply", reply: { ok: false, error: { retryable: false } } });
      expect(before.participants.find(({ name }) => name === this.pivot())?.state).toBe("TRY_SUCCESS");
    }
  }

  private checkState(): void {
    const { state, participants, wakeInMs } = this.instance;
    const ended = state === "CONFIRMED" || state === "CANCELLED";
    const owed = this.protocol.owed(this.instance).map(({ token }) => token.split(":").slice(0, 2).join(":"));
    const states = participants.map((one) => one.state);
    expect(this.protocol.hasEnded(this.instance)).toBe(ended);
    expect([wakeInMs === null, owed.length === 0]).toEqual([ended, ended]);
    const pivotState = participants.find(({ name }) => name === this.pivot())?.state;
    if (state === "CONFIRMING" && pivotState !== "CONFIRMED")
      expect(owed).toEqual([`confirm:${this.pivot()}`]);
    if (state === "CONFIRMING" || state === "CONFIRMED") expect(states).not.toContain("CANCELLED");
    if (state === "CANCELLING" || state === "CANCELLED") expect(states).not.toContain("CONFIRMED");
    if (ended && !this.forced) expect(new Set(states)).toEqual(new Set([state]));
  }

  private pivot(): string {
    return this.definition.participants.find(({ pivot }) => pivot)?.name ?? "";
  }
}

test("no order of inputs reverses a decision, and fair answers then end it for all alike", () => {
  const ends = new Set<TccState>();
  fc.assert(
    fc.property(
      definitions,
      fc.integer({ min: 1, max: 3 }),
      steps,
      (definition, tryAttemptsMax, sequence) => {
        const world = new World(definition, tryAttemptsMax);
        for (const step of sequence) world.take(step);
        // Try, the pivot's confirm, the others', or a cancel in their place: four rounds are enough.
        for (let round = 0; round < 4; round += 1) world.answerOwed();
        expect(["CONFIRMED", "CANCELLED"]).toContain(world.instance.state);
        ends.add(world.instance.state);
      },
    ),
    { numRuns: 1_000 },
  );
  expect(ends).toEqual(new Set(["CONFIRMED", "CANCELLED"]));
});
