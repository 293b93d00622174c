import { randomUUID } from "node:crypto";
import type { ProductView } from "../../lib/contracts.ts";
import type { HttpAnswer } from "../support/http.ts";
import { refusalOf } from "../support/money.ts";
import { ended, order } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import type { Shared } from "../support/use-system.ts";

const described = (sku: string, stock: number) => ({
  sku,
  name: "A test product",
  priceMinor: 1_250,
  currency: "EUR",
  stock,
});

/** A product of this very test. */
export async function newProduct(system: System, stock: number): Promise<ProductView> {
  const answer = await system.api("/products", { as: "staff", body: described(randomUUID(), stock) });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 201 });
  return answer.body as unknown as ProductView;
}

const adjust = (system: System, productId: string, delta: number, key?: string) =>
  system.api(`/products/${productId}/stock`, {
    as: "staff",
    method: "PUT",
    key,
    body: { delta, reason: "a delivery" },
  });

async function adjustments(system: System, productId: string) {
  return system.sql<{ delta: number; reason: string; told: number }>(
    "product",
    `select delta::float8 as delta, reason, (select count(*)::int from outbox_events e
       where e.aggregate_id = a.product_id and event_type = 'STOCK_ADJUSTED') as told
     from stock_adjustments a where product_id = $1 order by at, id`,
    [productId],
  );
}

/** What staff does to products and their stock. */
export function catalogue(shared: () => Shared): void {
  test("is made once under its key, and its SKU once at all", async () => {
    const { system } = shared();
    const [key, body] = [randomUUID(), described(randomUUID(), 7)];
    const ask = () => system.api("/products", { as: "staff", key, body });
    const answers = await Promise.all([ask(), ask(), ask()]);
    const [first] = answers as [HttpAnswer, ...HttpAnswer[]];
    const { productId } = first.body as unknown as ProductView;
    expect(answers.map(({ status, text }) => [status, text])).toEqual(answers.map(() => [201, first.text]));
    expect(answers.filter(({ headers }) => headers["idempotent-replayed"] === "true")).toHaveLength(2);
    expect(first.headers.location).toBe(`/api/products/${productId}`);
    const { stock, ...facts } = body;
    const product = { productId, ...facts, available: stock, reserved: 0, sold: 0 };
    expect((await system.api(`/products/${productId}`)).body).toEqual(product);
    await expect(adjustments(system, productId)).resolves.toEqual([
      { delta: 7, reason: "initial stock", told: 1 },
    ]);
    expect(refusalOf(await system.api("/products", { as: "staff", body }))).toEqual({
      status: 409,
      code: "SKU_TAKEN",
    });
    const other = { as: "staff", key, body: { ...body, stock: 8 } } as const;
    expect(refusalOf(await system.api("/products", other))).toEqual({
      status: 422,
      code: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  test("changes by what is counted, never below zero, whoever takes from it at the same time", async () => {
    const { system } = shared();
    const { productId } = await newProduct(system, 10);
    const { orderId } = await order(system, [{ productId, quantity: 4 }]);
    await ended(system, orderId);
    const answers = await Promise.all(Array.from({ length: 10 }, () => adjust(system, productId, -1)));
    expect(answers.map(({ status }) => status).sort()).toEqual([
      ...Array(6).fill(200),
      ...Array(4).fill(409),
    ]);
    expect(refusalOf(await adjust(system, productId, -1))).toEqual({
      status: 409,
      code: "STOCK_OUT_OF_RANGE",
    });
    const key = randomUUID();
    const twice = [await adjust(system, productId, 5, key), await adjust(system, productId, 5, key)];
    expect(twice.map(({ body }) => body)).toMatchObject([
      { productId, available: 5, reserved: 4 },
      { productId, available: 5, reserved: 4 },
    ]);
    const rows = await adjustments(system, productId);
    expect(rows.map(({ delta }) => delta)).toEqual([10, -1, -1, -1, -1, -1, -1, 5]);
    expect(rows[0]?.told).toBe(8);
    expect(refusalOf(await adjust(system, randomUUID(), 1))).toEqual({
      status: 404,
      code: "PRODUCT_NOT_FOUND",
    });
  });

  test("is listed when little of it is left, page by page", async () => {
    const { system } = shared();
    const few = await Promise.all([3, 2, 900].map((stock) => newProduct(system, stock)));
    const found: string[] = [];
    for (let cursor: unknown = ""; cursor !== undefined; ) {
      const page = await system.api(
        `/products/low-stock?threshold=3&limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`,
        { as: "staff" },
      );
      const { items, nextCursor } = page.body as unknown as { items: ProductView[]; nextCursor?: string };
      expect(items.every(({ available }) => available <= 3)).toBe(true);
      found.push(...items.map(({ productId }) => productId));
      cursor = nextCursor;
    }
    expect(found).toEqual([...found].sort());
    expect(few.map(({ productId }) => found.includes(productId))).toEqual([true, true, false]);
    expect(found).toContain(system.demo.products.soldOut);
  });

  test.each([
    ["a price that is no whole number", { priceMinor: 1.5 }],
    ["a currency in lower case", { currency: "eur" }],
    ["less than nothing in stock", { stock: -1 }],
    ["a SKU with a space", { sku: "A 1" }],
    ["a name with a line break", { name: "a\nb" }],
    ["an unknown field", { sold: 1 }],
  ])("is refused with %s", async (_what, wrong) => {
    const { system } = shared();
    const body = { ...described(randomUUID(), 1), ...wrong };
    const answer = await system.api("/products", { as: "staff", body });
    expect(refusalOf(answer)).toEqual({ status: 422, code: "VALIDATION_FAILED" });
  });

  test("is staff's alone to change", async () => {
    const { system } = shared();
    for (const as of ["customer", "operator", "service"] as const) {
      const body = described(randomUUID(), 1);
      expect(refusalOf(await system.api("/products", { as, body }))).toMatchObject({ status: 403 });
      expect(refusalOf(await system.api("/products/low-stock", { as }))).toMatchObject({ status: 403 });
    }
  });
}
