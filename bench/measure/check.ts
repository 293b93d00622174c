import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { sleep } from "../../scripts/parts/process.ts";
import { inDatabase } from "../data.ts";
import type { FinishedOrder } from "../load/protocol.ts";
import type { System } from "../system.ts";

/** What does not hold, in words; empty when all is well. */
export type Violations = readonly string[];

interface Rule {
  readonly says: string;
  /** Counts what breaks it; with or without FINISHED, whose parameters are the orders and their products. */
  readonly text: string;
}

const FINISHED = "unnest($1::uuid[], $2::uuid[], $3::uuid[]) as f(id, first, second)";

const ORDER_RULES: readonly Rule[] = [
  {
    says: "finished orders that are not `created`",
    text: `select count(*) from ${FINISHED} left join orders o on o.id = f.id where o.status is distinct from 'created'`,
  },
  {
    says: "finished orders whose lines are not what was ordered",
    text: `select count(*) from ${FINISHED}
      where (select array_agg((i.product_id, i.quantity)::text order by i.quantity) from order_items i where i.order_id = f.id)
        is distinct from array[(f.first, 1)::text, (f.second, 2)::text]`,
  },
  {
    says: "finished orders whose total is not the sum of their lines",
    text: `select count(*) from ${FINISHED} join orders o on o.id = f.id
      where o.total_minor <> (select sum(i.quantity * i.price_minor) from order_items i where i.order_id = o.id)`,
  },
  {
    says: "finished orders whose history is not draft, created",
    text: `select count(*) from ${FINISHED}
      where (select array_agg(h.status order by h.version) from order_status_history h where h.order_id = f.id)
        is distinct from array['draft', 'created']`,
  },
  {
    says: "orders that are neither `created` nor anybody's",
    text: `select count(*) from orders where status = 'draft'`,
  },
];

const STOCK_RULES: readonly Rule[] = [
  {
    says: "finished orders whose reservations are not their lines",
    text: `select count(*) from ${FINISHED}
      where (select array_agg((r.product_id, r.quantity, r.status)::text order by r.quantity)
             from stock_reservations r where r.order_id = f.id)
        is distinct from array[(f.first, 1, 'RESERVED')::text, (f.second, 2, 'RESERVED')::text]`,
  },
  {
    says: "products whose stock is not what came in",
    text: `select count(*) from products p
      where p.available + p.reserved + p.sold <>
        coalesce((select sum(a.delta) from stock_adjustments a where a.product_id = p.id), 0)
       `,
  },
  {
    says: "products whose reserved units are not those of the reservations",
    text: `select count(*) from products p
      left join (select product_id, sum(quantity) as units from stock_reservations
                 where status in ('RESERVED', 'HELD') group by product_id) r on r.product_id = p.id
      where p.reserved <> coalesce(r.units, 0)
       `,
  },
];

const UNFINISHED: Rule = {
  says: "sagas that have not ended",
  text: "select count(*) from saga_instances where wake_at is not null or state not in ('COMPLETED', 'COMPENSATED')",
};
const PENDING: Rule = {
  says: "events that are not on the bus",
  text: "select count(*) from outbox_delivery where status <> 'PUBLISHED'",
};
const SETTLE_MS = 10_000;

/** Looks with SQL whether the orders that were reported as confirmed are what they should be. */
export async function checkSystem(
  { demo: { databases } }: { readonly demo: Pick<System["demo"], "databases"> },
  finished: readonly FinishedOrder[],
): Promise<Violations> {
  const values = columnsOf(finished);
  return [
    ...(await violations(databases.saga, [UNFINISHED], [], SETTLE_MS)),
    ...(await violations(databases.saga, [PENDING], [], SETTLE_MS)),
    ...(await violations(databases.order, [PENDING], [], SETTLE_MS)),
    ...(await violations(databases.product, [PENDING], [], SETTLE_MS)),
    ...(await violations(databases.order, ORDER_RULES, values)),
    ...(await violations(databases.product, STOCK_RULES, values)),
  ];
}

export function checkFloor(url: string, finished: readonly FinishedOrder[]): Promise<Violations> {
  const floor = new URL(url);
  floor.searchParams.set("options", "-c search_path=bench");
  return violations(floor.href, [...ORDER_RULES, ...STOCK_RULES], columnsOf(finished));
}

function columnsOf(finished: readonly FinishedOrder[]): string[][] {
  return [0, 1, 2].map((column) => finished.map((order) => order[column] ?? ""));
}

/** @param settleMs how long a rule may take to hold */
function violations(
  url: string,
  rules: readonly Rule[],
  values: string[][],
  settleMs = 0,
): Promise<Violations> {
  return inDatabase(url, async (client) => {
    const found: string[] = [];
    for (const rule of rules) {
      const count = await settled(client, rule, values, settleMs);
      if (count > 0) found.push(`${count} ${rule.says}`);
    }
    return found;
  });
}

async function settled(client: pg.Client, rule: Rule, values: string[][], settleMs: number): Promise<number> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const { rows } = await client.query<{ count: string }>(
      rule.text,
      rule.text.includes(FINISHED) ? values : [],
    );
    const count = Number(rows[0]?.count);
    if (count === 0 || performance.now() >= deadline) return count;
    await sleep(50);
  }
}

/** `npm run audit` on the system: for flows whose orders end in more than one way. */
export async function audit({ dataDir }: System): Promise<Violations> {
  const script = fileURLToPath(new URL("../../scripts/audit.ts", import.meta.url));
  const env = { ...process.env, DATA_DIR: dataDir };
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { env, encoding: "utf8" });
  console.log(stdout);
  return status === 0 ? [] : [`the audit ended with ${status}: ${stderr.slice(0, 500)}`];
}
