import type { Choices } from "./faults.ts";

/** What has a memory to lose: a node of the engine, or a replica of a participant. */
export interface Process {
  readonly name: string;
  alive: boolean;
  pausedUntilMs: number;
  /** How its clock deviates from the true one. */
  skewMs: number;
  onCrash: () => void;
}

interface Action {
  atMs: number;
  readonly order: number;
  readonly label: string;
  readonly owner: Process | undefined;
  readonly run: () => unknown;
}

/** More than any schedule that ends has needed, several times over. */
const STEPS_MAX = 60_000;

/** A rule of the system is broken; the schedule that did it can be replayed. */
export class Violation extends Error {}

// Runs once all microtasks that are ready have run: everything that one action set going has come to its next wait.
const settled = () => new Promise<void>((resolve) => process.nextTick(resolve));

/**
 * Virtual time and everything that is going to happen in it. One action at a time; whatever code waits for, it waits
 * for an action. An action that belongs to a process is lost with it, and late when the process stands still.
 */
export class Scheduler {
  nowMs = 0;
  steps = 0;
  /** Whose code runs at present. */
  current: Process | undefined;
  /** Sees each step, to tell two runs apart. */
  fingerprint = 0;
  readonly trace: string[] | undefined;
  private readonly choices: Choices;
  private readonly queue: Action[] = [];
  private orders = 0;

  constructor(choices: (now: () => number) => Choices, trace = false) {
    this.choices = choices(() => this.nowMs);
    if (trace) this.trace = [];
  }

  get random(): Choices {
    return this.choices;
  }

  /** A latency as networks and disks have it: mostly short, sometimes long. */
  latency(site: string): number {
    const draw = this.choices.at(site).next();
    if (this.choices.strike("slow", site)) return 200 + draw * 9_000;
    return 0.2 + draw * draw * 8;
  }

  /** @param owner is lost, or stands still, with this process; nobody's: happens in any case */
  post(label: string, delayMs: number, run: () => unknown, owner?: Process): void {
    this.orders += 1;
    this.insert({ atMs: this.nowMs + delayMs, order: this.orders, label, owner, run });
  }

  crash(process: Process): void {
    process.alive = false;
    process.onCrash();
  }

  /** Runs until `isOver` answers true or nothing is left to happen. */
  async run(isOver: () => boolean, check: () => void): Promise<void> {
    while (!isOver()) {
      const action = this.queue.pop();
      if (!action) return;
      this.nowMs = Math.max(this.nowMs, action.atMs);
      if (!this.isDue(action)) continue;
      this.steps += 1;
      if (this.steps > STEPS_MAX) throw new Violation(`it does not come to rest: ${action.label}`);
      this.note(action);
      this.current = action.owner;
      const running = action.run();
      if (action.owner || running instanceof Promise) await settled();
      this.current = undefined;
      check();
    }
  }

  private isDue(action: Action): boolean {
    const { owner } = action;
    if (!owner) return true;
    if (!owner.alive) return false;
    if (owner.pausedUntilMs > this.nowMs) {
      this.insert({ ...action, atMs: owner.pausedUntilMs });
      return false;
    }
    if (this.choices.strike("crash", owner.name)) {
      this.crash(owner);
      return false;
    }
    if (!this.choices.strike("pause", owner.name)) return true;
    const draw = this.choices.at(`paused ${owner.name}`).next();
    owner.pausedUntilMs = this.nowMs + 500 + draw * draw * 40_000;
    this.insert({ ...action, atMs: owner.pausedUntilMs });
    return false;
  }

  private note(action: Action): void {
    this.fingerprint = (Math.imul(this.fingerprint, 31) + action.order + Math.round(this.nowMs)) | 0;
    const who = action.owner ? `${action.owner.name}: ` : "";
    this.trace?.push(`${this.nowMs.toFixed(1)} ms ${who}${action.label}`);
  }

  /** Latest first, so that the next one is popped off the end. */
  private insert(action: Action): void {
    let low = 0;
    let high = this.queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.queue[middle] as Action;
      const later = other.atMs > action.atMs || (other.atMs === action.atMs && other.order > action.order);
      if (later) low = middle + 1;
      else high = middle;
    }
    this.queue.splice(low, 0, action);
  }
}
