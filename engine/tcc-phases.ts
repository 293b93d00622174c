import type { Change } from "./ports.ts";
import type { TccPhase } from "./tcc-define.ts";
import type { TccInstance, TccState } from "./tcc-instance.ts";

const PHASES: Readonly<Partial<Record<TccState, TccPhase>>> = {
  TRYING: "try",
  CONFIRMING: "confirm",
  CANCELLING: "cancel",
};

/** Beginnings that are kept: of transactions that another node took over, nobody tells here how they ended. */
const OPEN_MAX = 20_000;

/**
 * Times each phase of a transaction, from one durable change of its state to the next: try from the acceptance to the
 * decision, confirm and cancel from there to the end. A phase that began on another node is not timed.
 */
export function createPhaseTimer(
  observe: (phase: TccPhase, seconds: number) => void,
  nowMs: () => number = () => performance.now(),
) {
  const since = new Map<string, number>();
  const begin = (id: string) => {
    since.set(id, nowMs());
    if (since.size <= OPEN_MAX) return;
    const [oldest] = since.keys();
    if (oldest !== undefined) since.delete(oldest);
  };
  return {
    started(transactions: readonly TccInstance[]): void {
      for (const { id } of transactions) begin(id);
    },
    saved(changes: readonly Change<TccInstance>[]): void {
      for (const { before, after } of changes) {
        if (before.state === after.state) continue;
        const [phase, began] = [PHASES[before.state], since.get(after.id)];
        since.delete(after.id);
        if (phase !== undefined && began !== undefined) observe(phase, (nowMs() - began) / 1_000);
        if (PHASES[after.state] !== undefined) begin(after.id);
      }
    },
  };
}
