import type { Tx } from "../lib/database.ts";
import { StateConflictError } from "../lib/errors.ts";
import { statement } from "../lib/statement.ts";

/**
 * The barrier: duplicates, empty cancels and hanging tries, decided by rows that commit with the effect.
 * The rule is that of DTM's barrier (https://en.dtm.pub/practice/barrier): a cancel first writes the try's row;
 * the insert waits for a try that is under way, and tells whether there ever was one. It writes the confirm's row
 * as well, so that a confirm and a cancel that meet cannot both have their effect.
 */

export type TccOp = "try" | "confirm" | "cancel";

/** What to do with an operation: run it, answer as before, or answer that there is nothing to undo. */
export type Verdict =
  | { readonly kind: "run" }
  | { readonly kind: "repeated"; readonly reply: unknown }
  | { readonly kind: "empty" }
  | { readonly kind: "refused"; readonly error: StateConflictError };

/** 409: the transaction was cancelled before this try came; it has no effect and never will. */
export class TccHangingError extends StateConflictError {
  constructor(gid: string, branch: string) {
    super("The transaction was cancelled before.", "TCC_HANGING", { gid, branch });
  }
}

/** 409: a decided confirm meets a cancelled branch; a bug somewhere, and an alarm. */
export class TccConfirmRefusedError extends StateConflictError {
  constructor(gid: string, branch: string, type: "TCC_CONFIRM_AFTER_CANCEL" | "TCC_NOT_TRIED") {
    super("This branch cannot be confirmed.", type, { gid, branch });
  }
}

/** 409: what was confirmed stays confirmed. */
export class TccCancelRefusedError extends StateConflictError {
  constructor(gid: string, branch: string) {
    super("This branch has been confirmed.", "TCC_CANCEL_AFTER_CONFIRM", { gid, branch });
  }
}

const ENTER = statement(
  "tcc_enter",
  `insert into tcc_barriers (gid, branch, op, origin, reply)
   select gid, $2, $3, $4, reply::json from unnest($1::uuid[], $5::text[]) as t(gid, reply) order by gid
   on conflict do nothing
   returning gid`,
);

interface BarrierRow {
  gid: string;
  op: TccOp;
  origin: TccOp;
  reply: unknown;
}

const ROWS = statement(
  "tcc_rows",
  `select gid, op, origin, reply from tcc_barriers where gid = any($1) and branch = $2`,
);

// Both in one round trip: what it enters (no operation) and what stood there before.
const ENTER_AND_LOOK = statement(
  "tcc_enter_and_look",
  `with entered as (
     insert into tcc_barriers (gid, branch, op, origin, reply)
     select gid, $2, $3, $3, reply::json from unnest($1::uuid[], $4::text[]) as t(gid, reply) order by gid
     on conflict do nothing
     returning gid
   )
   select gid, null as op, null as origin, null as reply from entered
   union all
   select gid, op, origin, reply from tcc_barriers where gid = any($1) and branch = $2`,
);

// `= any` as well: planned over an empty table, the join alone read every row of the branch (28 per reply after
// 6,400 payments, and rising).
const REPLY = statement(
  "tcc_reply",
  `update tcc_barriers b set reply = t.reply::json
   from unnest($1::uuid[], $4::text[]) as t(gid, reply)
   where b.gid = any($1) and b.gid = t.gid and b.branch = $2 and b.op = $3`,
);

interface Entrants {
  readonly gids: readonly string[];
  readonly branch: string;
  /** What each is going to be answered; null: not known yet. */
  readonly replies: readonly (string | null)[];
}

async function enter(tx: Tx, { gids, branch, replies }: Entrants, op: TccOp, origin: TccOp) {
  const rows = await tx.query<{ gid: string }>(ENTER, [gids, branch, op, origin, replies]);
  return new Set(rows.map(({ gid }) => gid));
}

async function enterAndLook(tx: Tx, { gids, branch, replies }: Entrants, op: TccOp) {
  const found = await tx.query<BarrierRow | { gid: string; op: null }>(ENTER_AND_LOOK, [
    gids,
    branch,
    op,
    replies,
  ]);
  const isRow = (row: (typeof found)[number]): row is BarrierRow => row.op !== null;
  const entered = new Set(found.filter((row) => !isRow(row)).map(({ gid }) => gid));
  const rows = found.filter(isRow);
  // Its row was being written when the statement began: it has waited for the commit, and did not see it.
  const unseen = gids.filter(
    (gid) => !entered.has(gid) && !rows.some((row) => row.gid === gid && row.op === op),
  );
  if (unseen.length === 0) return { entered, rows };
  const again = await tx.query<BarrierRow>(ROWS, [unseen, branch]);
  return { entered, rows: [...rows.filter(({ gid }) => !unseen.includes(gid)), ...again] };
}

/**
 * Passes operations of one branch through the barrier; each gid may stand in `gids` once. `replies`: what each is
 * going to be answered when it runs, in the same order, where that is known before; saves its update.
 */
export async function passBarrier(
  tx: Tx,
  branch: string,
  op: TccOp,
  gids: readonly string[],
  replies?: readonly string[],
): Promise<ReadonlyMap<string, Verdict>> {
  const entrants = { gids, branch, replies: replies ?? gids.map(() => null) };
  const { entered, rows, neverTried } = await look(tx, entrants, op);
  const byGid = Map.groupBy(rows, ({ gid }) => gid);
  const verdicts = new Map(
    gids.map((gid) => {
      const known = byGid.get(gid) ?? [];
      return [gid, verdictOf(op, gid, branch, entered.has(gid), neverTried.has(gid), known)];
    }),
  );
  // Only its own row: that of an earlier try, still without a reply, is what keeps later ones from running.
  const own = gids.filter((gid) => entered.has(gid) && verdicts.get(gid)?.kind === "refused");
  leaveBarrier(tx, branch, op, own);
  return verdicts;
}

async function look(tx: Tx, entrants: Entrants, op: TccOp) {
  const { gids, branch } = entrants;
  const none = new Set<string>();
  if (op === "confirm") return { ...(await enterAndLook(tx, entrants, op)), neverTried: none };
  // A cancel's try row waits for a try in flight; from then on no try can begin.
  const tries = { gids, branch, replies: gids.map(() => null) };
  const neverTried = op === "cancel" ? await enter(tx, tries, "try", "cancel") : none;
  // Its confirm row waits for a confirm in flight; from then on no confirm can begin.
  if (op === "cancel") await enter(tx, tries, "confirm", "cancel");
  const entered = await enter(tx, entrants, op, op);
  // A first try has met no row at all: it needs no second look.
  const unsure = op === "try" ? gids.filter((gid) => !entered.has(gid)) : gids;
  const rows = unsure.length > 0 ? await tx.query<BarrierRow>(ROWS, [unsure, branch]) : [];
  return { entered, rows, neverTried };
}

function verdictOf(
  op: TccOp,
  gid: string,
  branch: string,
  entered: boolean,
  neverTried: boolean,
  known: readonly BarrierRow[],
): Verdict {
  const row = (wanted: TccOp) => known.find((one) => one.op === wanted);
  if (op === "try") {
    if (entered) return { kind: "run" };
    if (row("try")?.origin === "cancel" || row("cancel")) return refused(new TccHangingError(gid, branch));
    return { kind: "repeated", reply: row("try")?.reply ?? null };
  }
  if (op === "cancel") {
    if (row("confirm")?.origin === "confirm") return refused(new TccCancelRefusedError(gid, branch));
    if (!entered) return { kind: "repeated", reply: row("cancel")?.reply ?? null };
    return neverTried ? { kind: "empty" } : { kind: "run" };
  }
  if (row("cancel")) return refused(new TccConfirmRefusedError(gid, branch, "TCC_CONFIRM_AFTER_CANCEL"));
  if (!row("try")) return refused(new TccConfirmRefusedError(gid, branch, "TCC_NOT_TRIED"));
  return entered ? { kind: "run" } : { kind: "repeated", reply: row("confirm")?.reply ?? null };
}

function refused(error: StateConflictError): Verdict {
  return { kind: "refused", error };
}

/** Takes back the rows of operations that came to nothing, so that they leave no trace. Only for rows just entered. */
const LEAVE = statement(
  "tcc_leave",
  `delete from tcc_barriers
   where gid = any($1) and branch = $2 and op in ($3, 'confirm') and origin = $3`,
);

export function leaveBarrier(tx: Tx, branch: string, op: TccOp, gids: readonly string[]): void {
  if (gids.length > 0) tx.send(LEAVE, [gids, branch, op]);
}

/** Stores what operations answered, for their repetitions. */
export function storeReplies(
  tx: Tx,
  branch: string,
  op: TccOp,
  replies: readonly { readonly gid: string; readonly reply: unknown }[],
): void {
  if (replies.length === 0) return;
  tx.send(REPLY, [
    replies.map(({ gid }) => gid),
    branch,
    op,
    replies.map(({ reply }) => JSON.stringify(reply)),
  ]);
}
