import type { Route } from "./contract/route.ts";
import { CUSTOMER_ROUTES } from "./customer-routes.ts";
import { OPERATOR_ROUTES } from "./operator-routes.ts";
import { ORDER_ROUTES } from "./order-routes.ts";
import { PAYMENT_ROUTES } from "./payment-routes.ts";
import { PRODUCT_ROUTES } from "./product-routes.ts";

/** The public API: what is not in this table does not exist. */
export const ROUTES: readonly Route[] = [
  ...ORDER_ROUTES,
  ...PAYMENT_ROUTES,
  ...PRODUCT_ROUTES,
  ...CUSTOMER_ROUTES,
  ...OPERATOR_ROUTES,
];
