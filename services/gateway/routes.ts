import type { ActionName } from "../../lib/actions.ts";
import { ROLES, type Role } from "./auth.ts";
import { createCustomer, getCustomer, listCustomers, setCustomerStatus } from "./customers.ts";
import { createOrder, getOrder, getOrderStatus, getSaga, listOrders } from "./orders.ts";
import {
  cancelOrder,
  finishPayment,
  finishStock,
  getPayment,
  getTransaction,
  listPayments,
  moveOrder,
  payOrder,
  refundPayment,
  tryPayment,
  tryStock,
} from "./payments.ts";
import { readQuery, token, wholeNumber } from "./query.ts";
import { type ApiRequest, type Call, idIn, ok, type Reply } from "./request.ts";
import { revokeTokens } from "./tokens.ts";
import { receiveWebhook, type SignedRequest } from "./webhooks.ts";

interface Line<Request> {
  readonly method: "GET" | "POST" | "PUT";
  /** Below /api. */
  readonly path: string;
  /** What answers it in the first place. */
  readonly action: ActionName;
  /** Checks the input, calls the action(s), and says what to answer. */
  readonly handle: (request: Request, call: Call) => Promise<Reply>;
}

/** Whoever has none of `roles` is refused before anything else is looked at. */
export interface TokenRoute extends Line<ApiRequest> {
  readonly roles: readonly Role[];
  /** A request without a body is as good as one with an empty object. */
  readonly optionalBody?: true;
  readonly signed?: never;
}

/** For outside parties that sign what they send and know no tokens. */
export interface SignedRoute extends Line<SignedRequest> {
  readonly signed: true;
}

/** One line of the public API. */
export type Route = TokenRoute | SignedRoute;

const BUYERS = ["customer", "staff"] as const;
const OWNERS_AND_STAFF = ["customer", "staff", "operator"] as const;
const STAFF = ["staff"] as const;
const SERVICE = ["service"] as const;
const PAGE = { limit: wholeNumber(1, 100), cursor: token(200) };

const PAYMENT_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/orders/:orderId/payments",
    roles: OWNERS_AND_STAFF,
    action: "payment.byOrder",
    handle: listPayments,
  },
  {
    method: "GET",
    path: "/payments/:paymentId",
    roles: OWNERS_AND_STAFF,
    action: "payment.get",
    handle: getPayment,
  },
  {
    method: "POST",
    path: "/payments/:paymentId/refund",
    roles: STAFF,
    action: "payment.refund",
    handle: refundPayment,
  },
  {
    method: "POST",
    path: "/payments/webhooks/:provider",
    signed: true,
    action: "payment.webhook",
    handle: receiveWebhook,
  },
  { method: "POST", path: "/payments/try", roles: SERVICE, action: "payment.try", handle: tryPayment },
  {
    method: "POST",
    path: "/payments/confirm/:id",
    roles: SERVICE,
    action: "payment.confirm",
    optionalBody: true,
    handle: finishPayment("payment.confirm"),
  },
  {
    method: "POST",
    path: "/payments/cancel/:id",
    roles: SERVICE,
    action: "payment.cancel",
    optionalBody: true,
    handle: finishPayment("payment.cancel"),
  },
  {
    method: "POST",
    path: "/products/stock/try",
    roles: SERVICE,
    action: "product.stockTry",
    handle: tryStock,
  },
  {
    method: "POST",
    path: "/products/stock/confirm/:orderId",
    roles: SERVICE,
    action: "product.stockConfirm",
    optionalBody: true,
    handle: finishStock("product.stockConfirm"),
  },
  {
    method: "POST",
    path: "/products/stock/cancel/:orderId",
    roles: SERVICE,
    action: "product.stockCancel",
    optionalBody: true,
    handle: finishStock("product.stockCancel"),
  },
];

const CUSTOMER_ROUTES: readonly Route[] = [
  { method: "GET", path: "/customers", roles: STAFF, action: "customer.list", handle: listCustomers },
  { method: "POST", path: "/customers", roles: STAFF, action: "customer.create", handle: createCustomer },
  {
    method: "GET",
    path: "/customers/:customerId",
    roles: STAFF,
    action: "customer.get",
    handle: getCustomer,
  },
  {
    method: "POST",
    path: "/customers/:customerId/activate",
    roles: STAFF,
    action: "customer.activate",
    optionalBody: true,
    handle: setCustomerStatus("activate"),
  },
  {
    method: "POST",
    path: "/customers/:customerId/deactivate",
    roles: STAFF,
    action: "customer.deactivate",
    optionalBody: true,
    handle: setCustomerStatus("deactivate"),
  },
];

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
    method: "POST",
    path: "/orders/:orderId/pay",
    roles: ["customer"],
    action: "saga.payOrder",
    handle: payOrder,
  },
  {
    method: "GET",
    path: "/transactions/:transactionId",
    roles: OWNERS_AND_STAFF,
    action: "saga.transaction",
    handle: getTransaction,
  },
  ...(["POST", "PUT"] as const).map(
    (method): Route => ({
      method,
      path: "/orders/:orderId/cancel",
      roles: BUYERS,
      action: "saga.cancelOrder",
      optionalBody: true,
      handle: cancelOrder,
    }),
  ),
  {
    method: "POST",
    path: "/orders/:orderId/ship",
    roles: STAFF,
    action: "order.ship",
    optionalBody: true,
    handle: moveOrder("order.ship"),
  },
  {
    method: "POST",
    path: "/orders/:orderId/complete",
    roles: STAFF,
    action: "order.complete",
    optionalBody: true,
    handle: moveOrder("order.complete"),
  },
  ...PAYMENT_ROUTES,
  ...CUSTOMER_ROUTES,
  {
    method: "POST",
    path: "/ops/tokens/revoke",
    roles: ["operator"],
    action: "customer.revokeTokens",
    handle: revokeTokens,
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
