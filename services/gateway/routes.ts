import type { ActionName } from "../../lib/contracts.ts";
import { ROLES, type Role } from "./auth.ts";
import { createOrder, getOrder, getOrderStatus, getSaga, listOrders } from "./orders.ts";
import { readQuery, token, wholeNumber } from "./query.ts";
import { type ApiRequest, type Call, idIn, ok, type Reply } from "./request.ts";

/** One line of the public API. Whoever has none of `roles` is refused before anything else is looked at. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT";
  /** Below /api. */
  readonly path: string;
  readonly roles: readonly Role[];
  /** What answers it in the first place. */
  readonly action: ActionName;
  /** Checks the input, calls the action(s), and says what to answer. */
  readonly handle: (request: ApiRequest, call: Call) => Promise<Reply>;
}

const BUYERS = ["customer", "staff"] as const;
const OWNERS_AND_STAFF = ["customer", "staff", "operator"] as const;
const PAGE = { limit: wholeNumber(1, 100), cursor: token(200) };

/** The public API: what is not in this table does not exist. */
export const ROUTES: readonly Route[] = [
  { method: "POST", path: "/orders", roles: BUYERS, action: "saga.createOrder", handle: createOrder },
  { method: "POST", path: "/orders/saga", roles: BUYERS, action: "saga.createOrder", handle: createOrder },
  { method: "GET", path: "/orders", roles: OWNERS_AND_STAFF, action: "order.list", handle: listOrders },
  { method: "GET", path: "/orders/:orderId", roles: OWNERS_AND_STAFF, action: "order.get", handle: getOrder },
  {
    method: "GET",
    path: "/orders/:orderId/status",
    roles: OWNERS_AND_STAFF,
    action: "order.status",
    handle: getOrderStatus,
  },
  {
    method: "GET",
    path: "/orders/saga/:sagaId",
    roles: OWNERS_AND_STAFF,
    action: "saga.get",
    handle: getSaga,
  },
  {
    method: "GET",
    path: "/products",
    roles: ROLES,
    action: "product.list",
    handle: async (request, call) => ok(await call("product.list", readQuery(request.query, PAGE))),
  },
  {
    method: "GET",
    path: "/products/:productId",
    roles: ROLES,
    action: "product.get",
    handle: async (request, call) =>
      ok(await call("product.get", { productId: idIn(request, "productId", "product") })),
  },
];
