import fc from "fast-check";
import type { FieldError } from "../../lib/errors.ts";
import type { Principal } from "../../services/gateway/auth.ts";
import { parseOrder } from "../../services/gateway/order-input.ts";
import { CUSTOMER, OTHER_CUSTOMER, STAFF } from "../support/tokens.ts";

/** What a basket may look like, and that nothing else passes: later layers take it as it is. */

const customer: Principal = { subject: CUSTOMER, roles: ["customer"] };
const staff: Principal = { subject: STAFF, roles: ["staff"] };
const A = "01990000-0000-7000-8000-00000000000a";
const B = "01990000-0000-7000-8000-00000000000b";
const line = (productId: unknown, quantity: unknown) => ({ productId, quantity });
const address = { name: "N", line1: "L", city: "C", postalCode: "P", country: "DE" };

function problemsOf(body: unknown, principal = customer): readonly FieldError[] {
  try {
    parseOrder(body, principal);
    return [];
  } catch (error) {
    return (error as { data: { errors: FieldError[] } }).data.errors;
  }
}

test("an order is taken as it is, for the customer of the token", () => {
  const body = { items: [line(A, 1), line(B, 1_000_000)], shippingAddress: address, paymentMethod: "sim_ok" };
  expect(parseOrder(body, customer)).toEqual({ customerId: CUSTOMER, ...body });
});

test("lines of one product are summed, in whatever case its id is written", () => {
  const items = [line(A, 1), line(B, 2), line(A.toUpperCase(), 3)];
  expect(parseOrder({ items }, customer).items).toEqual([line(A, 4), line(B, 2)]);
});

test("lines that add up to too much are refused", () => {
  expect(problemsOf({ items: [line(A, 600_000), line(A, 400_001)] })).toMatchObject([{ field: "items" }]);
});

test("a hundred lines pass, one more does not", () => {
  const lines = (count: number) => Array.from({ length: count }, () => line(A, 1));
  expect(parseOrder({ items: lines(100) }, customer).items).toEqual([line(A, 100)]);
  expect(problemsOf({ items: lines(101) })).toMatchObject([{ field: "items" }]);
  expect(problemsOf({ items: [] })).toMatchObject([{ field: "items" }]);
});

test.each([0, -1, 1.5, 1_000_001, 1e9, 1e308, "1", "", null, true, [1], {}, undefined])(
  "a quantity of %p is refused",
  (quantity) => {
    expect(problemsOf({ items: [line(A, quantity)] })).toMatchObject([{ field: "items[0].quantity" }]);
  },
);

test.each(["", "17", `${A} `, `${A}\n`, A.slice(1), 17, null, {}, undefined])(
  "a product id of %p is refused",
  (productId) => {
    expect(problemsOf({ items: [line(productId, 1)] })[0]).toMatchObject({ field: "items[0].productId" });
  },
);

test.each([null, undefined, "text", 1, true, [], [line(A, 1)]])("a body of %p is refused", (body) => {
  expect(problemsOf(body)).toHaveLength(1);
});

test.each([
  ["at the top", `{"items":[{"productId":"${A}","quantity":1}],"totalMinor":1}`],
  ["in a line", `{"items":[{"productId":"${A}","quantity":1,"priceMinor":1}]}`],
  ["in the address", JSON.stringify({ items: [line(A, 1)], shippingAddress: { ...address, email: "a@b" } })],
  [
    "named __proto__ at the top",
    `{"items":[{"productId":"${A}","quantity":1}],"__proto__":{"customerId":"x"}}`,
  ],
  ["named __proto__ in a line", `{"items":[{"productId":"${A}","quantity":1,"__proto__":{}}]}`],
  ["named constructor", `{"items":[{"productId":"${A}","quantity":1}],"constructor":{"prototype":{}}}`],
])("an unknown field %s is refused", (_where, body) => {
  expect(problemsOf(JSON.parse(body))).toMatchObject([{ message: expect.stringContaining("not known") }]);
});

test.each([
  ["empty", { ...address, name: "" }],
  ["too long", { ...address, line1: "x".repeat(201) }],
  ["no text", { ...address, city: 17 }],
  ["holding a NUL, which PostgreSQL refuses", { ...address, name: "a\u0000b" }],
  ["holding half a character, which jsonb refuses", { ...address, name: "a\ud800b" }],
  ["missing", { name: "N", line1: "L", city: "C", postalCode: "P" }],
])("an address field that is %s is refused", (_what, shippingAddress) => {
  expect(problemsOf({ items: [line(A, 1)], shippingAddress })[0]?.field).toMatch(/^shippingAddress\./);
});

test("an address may be written in any script", () => {
  const shippingAddress = { ...address, name: "山田 太郎", line1: "ул. Ленина 1", line2: "👍🏽" };
  expect(parseOrder({ items: [line(A, 1)], shippingAddress }, customer)).toMatchObject({ shippingAddress });
});

test("a customer may not name a customer, not even themselves", () => {
  for (const customerId of [CUSTOMER, OTHER_CUSTOMER, null, 17]) {
    const order = () => parseOrder({ items: [line(A, 1)], customerId }, customer);
    expect(order).toThrow(expect.objectContaining({ code: 403, type: "FORBIDDEN" }));
  }
});

test("staff names the customer", () => {
  const body = { items: [line(A, 1)] };
  expect(parseOrder({ ...body, customerId: OTHER_CUSTOMER.toUpperCase() }, staff).customerId).toBe(
    OTHER_CUSTOMER,
  );
  expect(problemsOf(body, staff)).toMatchObject([{ field: "customerId" }]);
  expect(problemsOf({ ...body, customerId: "someone" }, staff)).toMatchObject([{ field: "customerId" }]);
  const both: Principal = { subject: STAFF, roles: ["staff", "customer"] };
  expect(parseOrder(body, both).customerId).toBe(STAFF);
});

test("whatever JSON is sent, it is taken or refused, and nothing else happens", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (body) => {
      expect(problemsOf(body).length).toBeGreaterThan(0);
    }),
  );
});

test("refusals are few and short, however long the body", () => {
  const items = Array.from({ length: 1_000 }, () => ({ ["x".repeat(50)]: 1 }));
  const problems = problemsOf({ items });
  expect(problems.length).toBeLessThanOrEqual(20);
  expect(JSON.stringify(problems).length).toBeLessThan(10_000);
});
