import type { Database, Tx } from "../../lib/database.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { LAST_ID, type Seek } from "../../lib/page.ts";
import { statement } from "../../lib/statement.ts";
import { SAGA_COLUMNS, type SagaRow, type StoredSaga, sagaFromRow } from "./saga.store.ts";
import { type StoredTcc, TCC_COLUMNS, type TccRow, tccFromRow } from "./tcc.store.ts";

/** SQL of what operators look at, and of the trail of what they do. Lists are newest first. */

export interface OperatorDeed {
  readonly actor: string;
  readonly action: string;
  readonly targetType: "saga" | "transaction" | "dead-letter";
  readonly targetId: string;
  readonly reason: string;
  /** "done", or the code of what stood against it. */
  readonly result?: string;
}

const RECORD = statement(
  "operator_record",
  `insert into operator_actions (id, actor, action, target_type, target_id, reason, result)
   values ($1, $2, $3, $4, $5, $6, $7)`,
);

/** Writes the audit trail, in the transaction of the deed. */
export function recordDeed(tx: Tx, deed: OperatorDeed): void {
  const { actor, action, targetType, targetId, reason, result = "done" } = deed;
  tx.send(RECORD, [uuidv7(), actor, action, targetType, targetId, reason, result]);
}

export interface InstanceFilter {
  readonly state?: string;
  readonly type?: string;
  readonly stuck?: boolean;
}

// Two ways to the same rows. What is open is a few of many: found by the index of what is due. All else is walked
// through from the newest on until the page is full.
const listed = (table: string, columns: string, filter: string) => {
  const matches = `id < $1 and ($2::text is null or state = $2) and ${filter}`;
  return {
    all: `select ${columns} from ${table} where ${matches} order by id desc limit $5`,
    open: `with open as materialized (select id from ${table} where wake_at is not null and ${matches})
      select ${columns} from ${table} where id = any(array(select id from open order by id desc limit $5))
      order by id desc`,
  };
};
const sagas = listed(
  "saga_instances",
  SAGA_COLUMNS,
  "($3::text is null or saga_type = $3) and ($4::boolean is null or (state = 'STUCK') = $4)",
);
const transactions = listed(
  "tcc_transactions",
  TCC_COLUMNS,
  "($3::text is null or tcc_type = $3) and ($4::boolean is null or stuck = $4)",
);
const SAGAS = statement("saga_list", sagas.all);
const OPEN_SAGAS = statement("saga_list_open", sagas.open);
const TRANSACTIONS = statement("tcc_list", transactions.all);
const OPEN_TRANSACTIONS = statement("tcc_list_open", transactions.open);

const ENDED = ["COMPLETED", "COMPENSATED", "CONFIRMED", "CANCELLED"];

function isOpen({ state, stuck }: InstanceFilter): boolean {
  return stuck === true || (state !== undefined && !ENDED.includes(state));
}

function values({ state, type, stuck }: InstanceFilter, { before = LAST_ID, rows }: Seek): unknown[] {
  return [before, state, type, stuck, rows];
}

const STUCK = statement(
  "stuck_count",
  `select (select count(*)::int from saga_instances where wake_at is not null and state = 'STUCK') as saga,
          (select count(*)::int from tcc_transactions where wake_at is not null and stuck) as transaction`,
);

/** How many of each have used up their retries. */
export async function stuckCounts(database: Database): Promise<Record<"saga" | "transaction", number>> {
  const [row] = await database.query<Record<"saga" | "transaction", number>>(STUCK);
  return row ?? { saga: 0, transaction: 0 };
}

export async function listSagas(
  database: Database,
  filter: InstanceFilter,
  seek: Seek,
): Promise<StoredSaga[]> {
  const query = isOpen(filter) ? OPEN_SAGAS : SAGAS;
  return (await database.query<SagaRow>(query, values(filter, seek))).map(sagaFromRow);
}

export async function listTransactions(
  database: Database,
  filter: InstanceFilter,
  seek: Seek,
): Promise<StoredTcc[]> {
  const query = isOpen(filter) ? OPEN_TRANSACTIONS : TRANSACTIONS;
  return (await database.query<TccRow>(query, values(filter, seek))).map(tccFromRow);
}
