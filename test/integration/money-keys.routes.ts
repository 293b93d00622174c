import { randomUUID } from "node:crypto";
import { created, paid, paymentOf } from "../support/money.ts";
import type { ApiRequest, System } from "../support/system.ts";
import { threeLines } from "./money-payments.suite.ts";

/** Every request that changes something under an Idempotency-Key. */

export interface Ask {
  readonly path: string;
  readonly request: ApiRequest;
  /** The same, as far as its path goes, with another meaning. */
  readonly other: { readonly path: string; readonly request?: ApiRequest };
  /** Undoes what is not to be left as it is. */
  readonly undo?: { readonly path: string; readonly request: ApiRequest };
}

export const staff: ApiRequest = { as: "staff", body: {} };
export const service: ApiRequest = { as: "service", body: {} };

export const basket = (system: System) => ({
  items: [{ productId: system.demo.products.plenty, quantity: 1 }],
});
export const newOrder = async (system: System) => (await created(system, await threeLines(system))).orderId;
export const paidOrder = async (system: System) => (await paid(system, await threeLines(system))).orderId;

export async function heldStock(system: System): Promise<string> {
  const orderId = await newOrder(system);
  const body = { orderId, items: basket(system).items };
  expect(await system.api("/products/stock/try", { as: "service", body })).toMatchObject({ status: 201 });
  return orderId;
}

export const paymentBody = (orderId: string) => ({
  orderId,
  customerId: randomUUID(),
  amountMinor: 100,
  currency: "EUR",
  paymentMethod: "sim_ok",
});

export async function triedPayment(system: System): Promise<string> {
  const gid = randomUUID();
  const tried = await system.api("/payments/try", { as: "service", body: paymentBody(gid) });
  expect(tried).toMatchObject({ status: 201 });
  return gid;
}

export const card = (paymentMethod: string) => ({ body: { paymentMethod } });

/** Every route that changes something, with what it is asked about. */
export const ROUTES: Readonly<Record<string, (system: System) => Promise<Ask>>> = {
  order: async (system) => ({
    path: "/orders",
    request: { body: basket(system) },
    other: { path: "/orders", request: { body: { ...basket(system), paymentMethod: "sim_ok" } } },
  }),
  pay: async (system) => {
    const path = `/orders/${await newOrder(system)}/pay`;
    return { path, request: card("sim_ok"), other: { path, request: card("sim_declined") } };
  },
  cancel: async (system) => {
    const path = `/orders/${await newOrder(system)}/cancel`;
    return { path, request: { body: {} }, other: { path, request: { body: { reason: "another" } } } };
  },
  refund: async (system) => {
    const { paymentId } = await paymentOf(system, await paidOrder(system));
    const path = `/payments/${paymentId}/refund`;
    const body = { amountMinor: 1, reason: "a dent" };
    const other = { path, request: { as: "staff" as const, body: { ...body, amountMinor: 2 } } };
    return { path, request: { as: "staff", body }, other };
  },
  ship: async (system) => ({
    path: `/orders/${await paidOrder(system)}/ship`,
    request: staff,
    other: { path: `/orders/${randomUUID()}/ship` },
  }),
  complete: async (system) => {
    const orderId = await paidOrder(system);
    expect(await system.api(`/orders/${orderId}/ship`, staff)).toMatchObject({ status: 200 });
    return {
      path: `/orders/${orderId}/complete`,
      request: staff,
      other: { path: `/orders/${orderId}/ship` },
    };
  },
  "try of stock": async (system) => {
    const body = { orderId: await newOrder(system), ...basket(system) };
    const path = "/products/stock/try";
    return {
      undo: { path: `/products/stock/cancel/${body.orderId}`, request: service },
      path,
      request: { as: "service", body },
      other: { path, request: { as: "service", body: { ...body, ttlSeconds: 200 } } },
    };
  },
  "confirm of stock": async (system) => {
    const orderId = await heldStock(system);
    return {
      // What is sold comes back with its order.
      undo: { path: `/orders/${orderId}/cancel`, request: { key: randomUUID(), body: {} } },
      path: `/products/stock/confirm/${orderId}`,
      request: service,
      other: { path: `/products/stock/cancel/${orderId}` },
    };
  },
  "cancel of stock": async (system) => ({
    path: `/products/stock/cancel/${await heldStock(system)}`,
    request: service,
    other: { path: `/products/stock/cancel/${randomUUID()}` },
  }),
  "try of a payment": async () => {
    const body = paymentBody(randomUUID());
    const path = "/payments/try";
    return {
      undo: { path: `/payments/cancel/${body.orderId}`, request: service },
      path,
      request: { as: "service", body },
      other: { path, request: { as: "service", body: { ...body, amountMinor: 101 } } },
    };
  },
  "confirm of a payment": async (system) => {
    const gid = await triedPayment(system);
    return {
      path: `/payments/confirm/${gid}`,
      request: service,
      other: { path: `/payments/cancel/${gid}` },
    };
  },
  "cancel of a payment": async (system) => ({
    path: `/payments/cancel/${await triedPayment(system)}`,
    request: service,
    other: { path: `/payments/cancel/${randomUUID()}` },
  }),
};
