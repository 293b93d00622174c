import type { Invariant } from "../../scripts/audit/findings.ts";
import type { Statements } from "./audit-databases.ts";
import type { Tables } from "./audit-tables.ts";

/** A deliberate violation: what is done to the scene, and what has to be found then, no more and no less. */
export interface Plant {
  readonly name: string;
  readonly invariant: Invariant;
  readonly statements: Statements | ((scene: Tables) => Statements);
  readonly subjects: readonly string[] | ((scene: Tables) => readonly string[]);
}
