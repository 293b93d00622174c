import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import type { Findings } from "./findings.ts";
import { goneBefore } from "./horizon.ts";
import type { Count, SqlRule } from "./sql-rules.ts";
import type { World } from "./world.ts";

/**
 * I6: what was answered is there, once. A request is answered in the transaction that writes its saga or TCC
 * transaction; what those did to the order is compared in agreement.ts.
 */

/** What began before this may have been deleted after its end, though its answer is kept for longer. */
const SAGAS_KEPT = `greatest(${goneBefore("saga_instances")}, ${goneBefore("tcc_transactions")})`;

/** Ids are compared as text: an answer is what it is, and a broken one must not end the audit. */
const ANSWERS = `
  select key, subject, response_data->>'sagaId' as saga_id, response_data->>'transactionId' as transaction_id,
         response_data->>'orderId' as order_id, created_at
  from idempotency_records where status = 'COMPLETED' and created_at >= ${SAGAS_KEPT}`;

const SAGAS = `
  with answers as materialized (${ANSWERS}),
  shared as (
    -- The cancellation of a draft is answered with the saga that it turns round, and with no order.
    select a.saga_id from answers a where a.order_id is not null group by a.saga_id having count(*) > 1
  )
  select format('request %s of %s', a.key, a.subject) as subject,
         case when s.id is null then format('was answered with saga %s, which does not exist', a.saga_id)
              when a.order_id <> s.business_key::text
                then format('was answered with order %s, its saga %s is about order %s', a.order_id, s.id, s.business_key)
              else format('shares saga %s with another request', a.saga_id) end as problem
  from answers a
  left join saga_instances s on s.id::text = a.saga_id
  where a.saga_id is not null
    and (s.id is null or a.order_id <> s.business_key::text
         or (s.saga_type = 'CREATE_ORDER' and a.order_id is not null and a.saga_id in (select saga_id from shared)))`;

const SAGAS_OF_ORDERS = `
  select 'order ' || business_key as subject, format('has %s sagas that create it', count(*)) as problem
  from saga_instances where saga_type = 'CREATE_ORDER' group by business_key having count(*) > 1`;

const TRANSACTIONS = `
  with answers as materialized (${ANSWERS})
  select format('request %s of %s', a.key, a.subject) as subject,
         case when t.id is null then format('was answered with transaction %s, which does not exist', a.transaction_id)
              else format('was answered with order %s, its transaction %s is about order %s',
                          a.order_id, t.id, t.business_key) end as problem
  from answers a left join tcc_transactions t on t.id::text = a.transaction_id
  where a.transaction_id is not null and (t.id is null or a.order_id <> t.business_key::text)`;

const ORDERS = `
  with answers as materialized (${ANSWERS})
  select format('request %s of %s', a.key, a.subject) as subject,
         format('was answered with order %s, which does not exist', a.order_id) as problem
  from answers a left join orders o on o.id::text = a.order_id
  where a.order_id is not null and a.saga_id is null and a.transaction_id is null and o.id is null`;

const ORDERS_OF_SAGAS = `
  select 'saga ' || saga_id as subject, format('made %s orders', count(*)) as problem
  from orders group by saga_id having count(*) > 1`;

export const REQUEST_RULES: readonly SqlRule[] = [
  { invariant: "I6", database: "saga", needs: ["idempotency_records", "saga_instances"], text: SAGAS },
  { invariant: "I6", database: "saga", needs: ["saga_instances"], text: SAGAS_OF_ORDERS },
  {
    invariant: "I6",
    database: "saga",
    needs: ["idempotency_records", "tcc_transactions"],
    text: TRANSACTIONS,
  },
  { invariant: "I6", database: "order", needs: ["idempotency_records", "orders"], text: ORDERS },
  { invariant: "I6", database: "order", needs: ["orders"], text: ORDERS_OF_SAGAS },
];

export const REQUEST_COUNTS: readonly Count[] = DATABASE_NAMES.map((database) => ({
  invariant: "I6",
  database,
  table: "idempotency_records",
  what: "answers",
  where: "status = 'COMPLETED'",
}));

interface Answer {
  readonly key: string;
  readonly subject: string;
  readonly saga_id: string | null;
  readonly transaction_id: string | null;
}

/** Answers that another service gave for the saga service's work. */
export async function checkAnswersElsewhere(world: World, findings: Findings): Promise<void> {
  const { gone } = world.snapshots.saga;
  const ends = ["saga_instances", "tcc_transactions"].map((table) => gone.get(table)?.before ?? new Date(0));
  for (const name of DATABASE_NAMES) {
    if (name === "saga" || !world.snapshots[name].tables.has("idempotency_records")) continue;
    const text = `select * from (${ANSWERS}) a
      where (saga_id is not null or transaction_id is not null) and created_at >= greatest($1::timestamptz, $2::timestamptz)`;
    for await (const answers of world.snapshots[name].stream<Answer>(text, ends)) {
      await compare(world, findings, name, answers);
    }
  }
}

async function compare(world: World, findings: Findings, name: DatabaseName, answers: readonly Answer[]) {
  const kinds = [
    { what: "saga", table: "saga_instances", idOf: (answer: Answer) => answer.saga_id },
    { what: "transaction", table: "tcc_transactions", idOf: (answer: Answer) => answer.transaction_id },
  ];
  const { tables, query } = world.snapshots.saga;
  for (const { what, table, idOf } of kinds) {
    const named = answers.filter((answer) => idOf(answer) !== null);
    if (named.length === 0) continue;
    if (!tables.has(table)) {
      findings.notThere("I6", [table]);
      continue;
    }
    const found = await query<{ id: string }>(
      `select id::text as id from ${table} where id::text = any($1)`,
      [named.map(idOf)],
    );
    const ids = new Set(found.map(({ id }) => id));
    for (const answer of named.filter((one) => !ids.has(idOf(one) ?? ""))) {
      const problem = `was answered by ${name} with ${what} ${idOf(answer)}, which does not exist`;
      const subject = `request ${answer.key} of ${answer.subject}`;
      findings.suspect({ invariant: "I6", rule: `${name} ${what}`, subject, problem });
    }
  }
}
