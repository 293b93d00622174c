/** What has to hold; design.md section 10 and docs/audit.md say what each one means. */
export const INVARIANTS = {
  I1: "money adds up",
  I2: "stock adds up",
  I3: "nothing is oversold",
  I4: "nothing outlives its deadline",
  I5: "orders, stock and payments agree",
  I6: "each acknowledged request has its effect once",
  I7: "every event reached the bus, in order",
  I8: "every event took effect once",
  I9: "every order went a legal way",
  I10: "dead letters carry their reason",
  I11: "the audit trails are whole",
} as const;

export type Invariant = keyof typeof INVARIANTS;
export const INVARIANT_IDS = Object.keys(INVARIANTS) as readonly Invariant[];

export interface Violation {
  readonly invariant: Invariant;
  /** What it is about, with its id: "order 0199…". */
  readonly subject: string;
  readonly problem: string;
}

/** A violation that may be nothing but two databases read at different moments: to be looked at again. */
export interface Suspect extends Violation {
  /** Names the rule within the invariant, so that a second look can tell whether it is the same one. */
  readonly rule: string;
}

/** Gathers what the checks of one look at the system see. */
export class Findings {
  readonly violations: Violation[] = [];
  readonly suspects = new Map<string, Suspect>();
  readonly #looked = new Map<Invariant, Map<string, number>>();
  readonly #gone = new Map<Invariant, Map<string, { rows: number; before: Date }>>();
  readonly #notThere = new Map<Invariant, Set<string>>();
  readonly #unchecked = new Map<Invariant, string>();

  /** Counts what was looked at; numbers of one kind add up. */
  looked(invariant: Invariant, what: string, count: number): void {
    const counts = this.#looked.get(invariant) ?? new Map<string, number>();
    this.#looked.set(invariant, counts.set(what, (counts.get(what) ?? 0) + count));
  }

  /** Rows that retention has deleted are not looked at. */
  gone(invariant: Invariant, what: string, rows: number, before: Date): void {
    const all = this.#gone.get(invariant) ?? new Map<string, { rows: number; before: Date }>();
    const known = all.get(what);
    const latest = known !== undefined && known.before > before ? known.before : before;
    this.#gone.set(invariant, all.set(what, { rows: (known?.rows ?? 0) + rows, before: latest }));
  }

  suspect(suspect: Suspect): void {
    this.suspects.set(`${suspect.invariant} ${suspect.rule} ${suspect.subject}`, suspect);
  }

  /** Tables that this database does not have (yet): an older release. */
  notThere(invariant: Invariant, tables: readonly string[]): void {
    const known = this.#notThere.get(invariant) ?? new Set<string>();
    this.#notThere.set(invariant, new Set([...known, ...tables]));
  }

  /** This part could not be looked at, and why. */
  unchecked(invariant: Invariant, reason: string): void {
    this.#unchecked.set(invariant, reason);
  }

  lookedAt(invariant: Invariant): ReadonlyMap<string, number> {
    return this.#looked.get(invariant) ?? new Map();
  }

  goneOf(invariant: Invariant): readonly { what: string; rows: number; before: Date }[] {
    return [...(this.#gone.get(invariant) ?? [])].map(([what, gone]) => ({ what, ...gone }));
  }

  tablesNotThere(invariant: Invariant): readonly string[] {
    return [...(this.#notThere.get(invariant) ?? [])].sort();
  }

  whyUnchecked(invariant: Invariant): string | undefined {
    return this.#unchecked.get(invariant);
  }
}
