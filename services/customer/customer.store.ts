import type { CreateCustomerParams, CustomerStatus, StoredCustomer } from "../../lib/contracts.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of customers. Names and addresses are ciphertexts here. */

const STATUSES = statement("customer_statuses", "select id, status from customers where id = any($1)");

/** Status of each customer that exists. */
export async function customerStatuses(
  database: Database,
  customerIds: readonly string[],
): Promise<ReadonlyMap<string, CustomerStatus>> {
  const rows = await database.query<{ id: string; status: CustomerStatus }>(STATUSES, [customerIds]);
  return new Map(rows.map(({ id, status }) => [id, status]));
}

export interface CustomerRow {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly status: CustomerStatus;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

const COLUMNS = `id, name, email, status, created_at as "createdAt", updated_at as "updatedAt"`;

export function customerOf({ id, name, email, status, createdAt, updatedAt }: CustomerRow): StoredCustomer {
  return {
    customerId: id,
    name,
    email,
    status,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

const FIND = statement("customer_find", `select ${COLUMNS} from customers where id = $1`);

export async function findCustomer(database: Database, customerId: string): Promise<CustomerRow | undefined> {
  const [row] = await database.query<CustomerRow>(FIND, [customerId]);
  return row;
}

const INSERT = statement(
  "customer_insert",
  `insert into customers (id, name, email, email_index, status) values ($1, $2, $3, $4, 'active')
   on conflict (email_index) do nothing
   returning ${COLUMNS}`,
);

type NewCustomer = Pick<CreateCustomerParams, "customerId" | "name" | "email" | "emailIndex">;

/** The new customer; undefined when somebody has the address. */
export async function insertCustomer(
  tx: Tx,
  { customerId, name, email, emailIndex }: NewCustomer,
): Promise<CustomerRow | undefined> {
  const [row] = await tx.query<CustomerRow>(INSERT, [customerId, name, email, emailIndex]);
  return row;
}

// One that has the status already keeps its version and its time, and is answered all the same.
const SET_STATUS = statement(
  "customer_set_status",
  `update customers
   set status = $2, version = version + (status <> $2)::int,
       updated_at = case when status <> $2 then now() else updated_at end
   where id = $1
   returning ${COLUMNS}`,
);

/** The customer with that status; undefined when there is none. */
export async function setCustomerStatus(
  tx: Tx,
  customerId: string,
  status: CustomerStatus,
): Promise<CustomerRow | undefined> {
  const [row] = await tx.query<CustomerRow>(SET_STATUS, [customerId, status]);
  return row;
}
