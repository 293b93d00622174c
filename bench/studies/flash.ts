import { randomUUID } from "node:crypto";
import { inDatabase, prepareApi } from "../data.ts";
import { startLoad } from "../load/driver.ts";
import type { LoadRequest } from "../load/protocol.ts";
import { type Measured, runCell } from "../measure/cell.ts";
import { audit } from "../measure/check.ts";
import { openMeter } from "../measure/counters.ts";
import { number, table } from "../report/table.ts";
import type { System } from "../system.ts";
import type { StudyContext, StudyResult } from "./study.ts";

const UNITS = 1_000;
/** Who wants to buy at the same moment. The gateway refuses new work from 1,000 requests on. */
const AT_ONCE = 500;

interface Sale {
  readonly measured: Measured;
  readonly complaints: readonly string[];
}

/** 10,000 buyers, 1,000 units of one product, as fast as they can: exactly 1,000 get one, the others are told so. */
export async function studyFlash({ options, start, progress }: StudyContext): Promise<StudyResult> {
  const system = await start();
  const load = await startLoad(await prepareApi(system));
  const meter = await openMeter(system);
  const sales: Sale[] = [];
  const sell = async (buyers: number): Promise<Sale> => {
    const productId = await addProduct(system);
    const cell = { flow: "flash", variant: "hot", concurrency: AT_ONCE } as const;
    const request: LoadRequest = {
      cell,
      warmSeconds: 0,
      until: { orders: buyers },
      isExact: true,
      productId,
    };
    const { measured } = await runCell(load, meter, request, "api", options.patienceMs);
    return { measured, complaints: await complaintsOf(system, productId, measured, buyers) };
  };
  try {
    // Warm: a sale that does not count.
    await sell(2 * UNITS);
    for (let run = 0; run < options.runs; run += 1) {
      const sale = await sell(options.orders);
      sales.push(sale);
      progress(`flash sale: ${number(sale.measured.ordersPerSecond)} buyers/s`);
    }
    const complaints = [...sales.flatMap((sale) => sale.complaints), ...(await audit(system))];
    return { report: report(sales), complaints, data: sales };
  } finally {
    load.stop();
    await meter.close();
  }
}

async function addProduct(system: System): Promise<string> {
  const id = randomUUID();
  await inDatabase(system.demo.databases.product, (client) =>
    client.query(
      `with added as (
         insert into products (id, sku, name, price_minor, currency, available)
         values ($1::uuid, 'FLASH-' || ($1::uuid)::text, 'Flash sale', 100, 'EUR', $2::bigint) returning id, available
       )
       insert into stock_adjustments (id, product_id, delta, reason, actor)
       select gen_random_uuid(), id, available, 'initial stock', 'bench' from added`,
      [id, UNITS],
    ),
  );
  return id;
}

interface Ends {
  readonly available: number;
  readonly reserved: number;
  readonly reservations: number;
}

async function complaintsOf(
  system: System,
  productId: string,
  { orders, refused, errors, errorSamples }: Measured,
  buyers: number,
): Promise<string[]> {
  const [ends] = await inDatabase(system.demo.databases.product, async (client) => {
    const text = `select available::int, reserved::int,
        (select count(*)::int from stock_reservations where product_id = p.id and status = 'RESERVED') as reservations
      from products p where id = $1`;
    return (await client.query<Ends>(text, [productId])).rows;
  });
  const found = { ...ends, bought: orders - refused, answered: orders, errors };
  const wanted = {
    available: 0,
    reserved: UNITS,
    reservations: UNITS,
    bought: UNITS,
    answered: buyers,
    errors: 0,
  };
  const isRight = Object.entries(wanted).every(
    ([name, count]) => found[name as keyof typeof found] === count,
  );
  if (isRight) return [];
  return [
    `flash sale: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)} ${errorSamples.join(" | ")}`,
  ];
}

function report(sales: readonly Sale[]): string {
  const columns = [
    "buyers",
    "sold",
    "told no",
    "s",
    "buyers/s",
    "p50",
    "p95",
    "p99 ms",
    "202: p50",
    "p95 ms",
  ];
  const rows = sales.map(({ measured }) => [
    number(measured.orders),
    number(measured.orders - measured.refused),
    number(measured.refused),
    number(measured.seconds),
    number(measured.ordersPerSecond),
    number(measured.latency.p50),
    number(measured.latency.p95),
    number(measured.latency.p99),
    number(measured.accept?.p50),
    number(measured.accept?.p95),
  ]);
  return [`One product, ${UNITS} units, ${AT_ONCE} buyers at the same moment`, table(columns, rows)].join(
    "\n",
  );
}
