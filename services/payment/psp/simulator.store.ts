import type { Database, Tx } from "../../../lib/database.ts";
import { statement } from "../../../lib/statement.ts";

/** SQL of the simulated provider's books: schema psp_simulator, and nothing else. */

export type ChargeStatus = "processing" | "authorised" | "declined" | "captured" | "voided";

export interface Charge {
  readonly id: string;
  readonly status: ChargeStatus;
  readonly amountMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly currency: string;
  readonly method: string;
  readonly code: string | null;
}

export interface NewCharge extends Pick<Charge, "id" | "status" | "amountMinor" | "currency" | "method"> {
  readonly code: string | null;
  readonly decidedInMs: number;
}

const INSERT_CHARGES = statement(
  "psp_insert_charges",
  `insert into psp_simulator.charges (id, status, amount_minor, currency, method, code, decided_at)
   select id, status, amount, currency, method, code, now() + ms * interval '1 millisecond'
   from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::int[])
        as t(id, status, amount, currency, method, code, ms)
   order by id
   on conflict (id) do nothing
   returning id`,
);

/** Answers the ids that are new: a charge is made once, whatever is asked under its key later. */
export async function insertCharges(
  on: Tx | Database,
  charges: readonly NewCharge[],
): Promise<ReadonlySet<string>> {
  if (charges.length === 0) return new Set();
  const rows = await on.query<{ id: string }>(INSERT_CHARGES, [
    charges.map(({ id }) => id),
    charges.map(({ status }) => status),
    charges.map(({ amountMinor }) => amountMinor),
    charges.map(({ currency }) => currency),
    charges.map(({ method }) => method),
    charges.map(({ code }) => code),
    charges.map(({ decidedInMs }) => decidedInMs),
  ]);
  return new Set(rows.map(({ id }) => id));
}

// A charge in processing has become authorised once its time is over: nothing needs to run for that.
const CHARGE_COLUMNS = `id, amount_minor, captured_minor, refunded_minor, currency, method, code,
  case when status = 'processing' and decided_at <= now() then 'authorised' else status end as status`;
const LOCK_CHARGES = statement(
  "psp_lock_charges",
  `select ${CHARGE_COLUMNS} from psp_simulator.charges where id = any($1) order by id for update`,
);
const FIND_CHARGES = statement(
  "psp_find_charges",
  `select ${CHARGE_COLUMNS} from psp_simulator.charges where id = any($1)`,
);

interface ChargeRow {
  id: string;
  status: ChargeStatus;
  amount_minor: number;
  captured_minor: number;
  refunded_minor: number;
  currency: string;
  method: string;
  code: string | null;
}

function byId(rows: readonly ChargeRow[]): Map<string, Charge> {
  return new Map(
    rows.map(({ id, status, currency, method, code, ...row }) => [
      id,
      {
        id,
        status,
        currency,
        method,
        code,
        amountMinor: row.amount_minor,
        capturedMinor: row.captured_minor,
        refundedMinor: row.refunded_minor,
      },
    ]),
  );
}

export async function lockCharges(tx: Tx, ids: readonly string[]): Promise<Map<string, Charge>> {
  return byId(await tx.query<ChargeRow>(LOCK_CHARGES, [ids]));
}

export async function findCharges(on: Tx | Database, ids: readonly string[]): Promise<Map<string, Charge>> {
  return byId(await on.query<ChargeRow>(FIND_CHARGES, [ids]));
}

const UPDATE_CHARGES = statement(
  "psp_update_charges",
  `update psp_simulator.charges c
   set status = t.status, captured_minor = t.captured, refunded_minor = t.refunded
   from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) as t(id, status, captured, refunded)
   where c.id = t.id`,
);

export function updateCharges(tx: Tx, charges: readonly Charge[]): void {
  if (charges.length === 0) return;
  tx.send(UPDATE_CHARGES, [
    charges.map(({ id }) => id),
    charges.map(({ status }) => status),
    charges.map(({ capturedMinor }) => capturedMinor),
    charges.map(({ refundedMinor }) => refundedMinor),
  ]);
}

/** What was asked of a charge under a key, and how it ended: done, or refused with a code. */
export interface ChargeOperation {
  readonly id: string;
  readonly chargeId: string;
  readonly operation: "capture" | "void" | "refund";
  readonly amountMinor: number;
  readonly code: string | null;
}

const FIND_OPERATIONS = statement(
  "psp_find_operations",
  "select id, charge_id, operation, amount_minor, code from psp_simulator.operations where id = any($1)",
);

export async function findOperations(
  on: Tx | Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ChargeOperation>> {
  const rows = await on.query<{
    id: string;
    charge_id: string;
    operation: ChargeOperation["operation"];
    amount_minor: number;
    code: string | null;
  }>(FIND_OPERATIONS, [ids]);
  return new Map(
    rows.map(({ id, charge_id, operation, amount_minor, code }) => [
      id,
      { id, chargeId: charge_id, operation, amountMinor: amount_minor, code },
    ]),
  );
}

const INSERT_OPERATIONS = statement(
  "psp_insert_operations",
  `insert into psp_simulator.operations (id, charge_id, operation, amount_minor, code)
   select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[])`,
);

export function insertOperations(tx: Tx, operations: readonly ChargeOperation[]): void {
  if (operations.length === 0) return;
  tx.send(INSERT_OPERATIONS, [
    operations.map(({ id }) => id),
    operations.map(({ chargeId }) => chargeId),
    operations.map(({ operation }) => operation),
    operations.map(({ amountMinor }) => amountMinor),
    operations.map(({ code }) => code),
  ]);
}

const SECRET = statement("psp_secret", "select webhook_secret from psp_simulator.account");

export async function accountSecret(database: Database): Promise<string> {
  const [row] = await database.query<{ webhook_secret: string }>(SECRET);
  return row?.webhook_secret ?? "";
}
