import pg from "pg";
import { v5 as uuidv5 } from "uuid";
import { emailIndexOf, type PersonalData } from "../../lib/personal-data/personal-data.ts";

/** Fixed ids, so that tokens, documents and tests can name them. */
const id = (tail: string) => `01990000-0000-7000-8000-${tail.padStart(12, "0")}`;

export const DEMO_CUSTOMERS = { active: id("c1"), other: id("c2"), inactive: id("c3") } as const;
/** `plenty` never runs out in a demo, `scarce` does, `soldOut` is out from the start. */
export const DEMO_PRODUCTS = { plenty: id("a1"), scarce: id("a2"), soldOut: id("a3") } as const;

const customers = [
  [DEMO_CUSTOMERS.active, "Ada Demo", "ada@example.com", "active"],
  [DEMO_CUSTOMERS.other, "Bruno Other", "bruno@example.com", "active"],
  [DEMO_CUSTOMERS.inactive, "Carla Inactive", "carla@example.com", "inactive"],
  [id("c4"), "Dmitri Lane", "dmitri@example.com", "active"],
  [id("c5"), "Elif Marsh", "elif@example.com", "active"],
  [id("c6"), "Farid Stone", "farid@example.com", "active"],
  [id("c7"), "Greta Hollow", "greta@example.com", "inactive"],
] as const;

/** Id, SKU, name, price in cents, units at first. */
const products = [
  [DEMO_PRODUCTS.plenty, "NAIL-PLENTY", "Wire nails, 50 mm, box of 100", 499, 1_000_000],
  [DEMO_PRODUCTS.scarce, "LAMP-SCARCE", "Storm lamp, brass", 8_900, 50],
  [DEMO_PRODUCTS.soldOut, "ANVIL-SOLDOUT", "Anvil, 75 kg", 64_900, 0],
  [id("b01"), "HAMMER-16", "Claw hammer, 16 oz", 2_450, 480],
  [id("b02"), "SAW-RIP-500", "Rip saw, 500 mm", 3_190, 220],
  [id("b03"), "CHISEL-SET-6", "Wood chisels, set of 6", 5_490, 160],
  [id("b04"), "PLANE-4", "Smoothing plane, no. 4", 7_950, 90],
  [id("b05"), "LEVEL-600", "Spirit level, 600 mm", 2_790, 310],
  [id("b06"), "TAPE-5M", "Tape measure, 5 m", 1_290, 1_200],
  [id("b07"), "SQUARE-300", "Try square, 300 mm", 1_890, 260],
  [id("b08"), "CLAMP-F-300", "F clamp, 300 mm", 1_690, 540],
  [id("b09"), "VICE-125", "Bench vice, 125 mm", 9_900, 45],
  [id("b10"), "DRILL-18V", "Cordless drill, 18 V", 12_900, 130],
  [id("b11"), "BITS-HSS-19", "Twist drill bits, set of 19", 3_450, 400],
  [id("b12"), "SCREW-4X40", "Wood screws, 4 x 40 mm, box of 200", 890, 5_000],
  [id("b13"), "SCREW-6X80", "Wood screws, 6 x 80 mm, box of 100", 1_390, 3_000],
  [id("b14"), "GLUE-750", "Wood glue, 750 ml", 1_190, 700],
  [id("b15"), "SAND-120", "Sandpaper, grit 120, 25 sheets", 990, 900],
  [id("b16"), "OIL-LINSEED", "Linseed oil, 1 l", 1_590, 350],
  [id("b17"), "GLOVES-10", "Work gloves, size 10", 790, 1_500],
  [id("b18"), "GOGGLES", "Safety goggles", 1_090, 650],
  [id("b19"), "ROPE-20", "Hemp rope, 12 mm, 20 m", 2_290, 180],
  [id("b20"), "LADDER-7", "Step ladder, 7 treads", 8_490, 60],
] as const;

/** A column of a table above, as an array that PostgreSQL unnests. */
const column = <Row extends readonly unknown[]>(rows: readonly Row[], index: number) =>
  rows.map((row) => row[index]);

const insertCustomers = `
  insert into customers (id, status, name, email, email_index)
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
  on conflict do nothing`;

// Only a product that is new gets its stock, and gets it as an adjustment: sum(delta) stays what the columns say.
const insertProducts = `
  with added as (
    insert into products (id, sku, name, price_minor, currency, available)
    select one.id, one.sku, one.name, one.price_minor, 'EUR', one.available
    from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
      as one (id, sku, name, price_minor, available)
    on conflict do nothing
    returning id, available
  )
  insert into stock_adjustments (id, product_id, delta, reason, actor)
  select ids.adjustment, added.id, added.available, 'initial stock', 'demo'
  from added join unnest($1::uuid[], $6::uuid[]) as ids (product, adjustment) on ids.product = added.id
  where added.available <> 0`;

/** Puts the demo data in where it is missing; what is there stays as it is, sold stock included. */
export async function seedDemo(
  urls: { readonly customer: string; readonly product: string },
  personalData: PersonalData,
): Promise<void> {
  const ids = column(products, 0).map(String);
  const adjustments = ids.map((one) => uuidv5("initial stock", one));
  const productColumns = [0, 1, 2, 3, 4].map((index) => column(products, index));
  const customerColumns = [
    column(customers, 0),
    column(customers, 3),
    customers.map(([rowId, name]) => personalData.encrypt({ column: "customers.name", rowId }, name)),
    customers.map(([rowId, , email]) => personalData.encrypt({ column: "customers.email", rowId }, email)),
    customers.map(([, , email]) => emailIndexOf(personalData, email)),
  ];
  await Promise.all([
    runStatement(urls.customer, insertCustomers, customerColumns),
    runStatement(urls.product, insertProducts, [...productColumns, adjustments]),
  ]);
}

async function runStatement(url: string, text: string, values: readonly unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: "holdfast-seed" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query(text, [...values]);
  } finally {
    await client.end();
  }
}
