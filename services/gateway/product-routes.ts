import { ROLES } from "./auth.ts";
import { pageOf } from "./contract/json-schema.ts";
import { type Route, route } from "./contract/route.ts";
import * as views from "./contract/views.ts";
import {
  adjustmentBody,
  adjustStock,
  createProduct,
  getProduct,
  LOW_STOCK_QUERY,
  listLowStock,
  listProducts,
  productBody,
} from "./products.ts";
import { PAGE } from "./query.ts";

const STAFF = ["staff"] as const;

/** The catalogue. */
export const PRODUCT_ROUTES: readonly Route[] = [
  route({
    id: "listProducts",
    tag: "products",
    cacheable: true,
    summary: "List products, oldest first",
    method: "GET",
    path: "/products",
    roles: ROLES,
    action: "product.list",
    status: 200,
    answer: pageOf(views.product),
    query: PAGE,
    problems: ["CURSOR_INVALID"],
    handle: listProducts,
  }),
  route({
    id: "createProduct",
    tag: "products",
    summary: "Make a product",
    method: "POST",
    path: "/products",
    roles: STAFF,
    action: "product.create",
    status: 201,
    answer: views.product,
    located: true,
    key: "optional",
    body: productBody,
    problems: ["SKU_TAKEN"],
    handle: createProduct,
  }),
  // Before the product by its id, which would take `low-stock` for one.
  route({
    id: "listLowStock",
    tag: "products",
    summary: "List products of which little is available, oldest first",
    method: "GET",
    path: "/products/low-stock",
    roles: STAFF,
    action: "product.lowStock",
    status: 200,
    answer: pageOf(views.product),
    query: LOW_STOCK_QUERY,
    problems: ["CURSOR_INVALID"],
    handle: listLowStock,
  }),
  route({
    id: "getProduct",
    tag: "products",
    cacheable: true,
    summary: "Look at a product",
    method: "GET",
    path: "/products/:productId",
    roles: ROLES,
    action: "product.get",
    status: 200,
    answer: views.product,
    problems: ["PRODUCT_NOT_FOUND"],
    handle: getProduct,
  }),
  route({
    id: "adjustStock",
    tag: "products",
    summary: "Change what is available, by what was counted, received or returned",
    more: "What is left never falls below zero. Each change is kept with its reason and its author.",
    method: "PUT",
    path: "/products/:productId/stock",
    roles: STAFF,
    action: "product.adjust",
    status: 200,
    answer: views.product,
    key: "optional",
    body: adjustmentBody,
    problems: ["PRODUCT_NOT_FOUND", "STOCK_OUT_OF_RANGE"],
    handle: adjustStock,
  }),
];
