import { noFields } from "./body-schema.ts";
import { pageOf } from "./contract/json-schema.ts";
import { type Route, route } from "./contract/route.ts";
import * as views from "./contract/views.ts";
import {
  createCustomer,
  customerBody,
  getCustomer,
  LIST_QUERY,
  listCustomers,
  setCustomerStatus,
} from "./customers.ts";

const STAFF = ["staff"] as const;

const changing = {
  tag: "customers",
  method: "POST",
  roles: STAFF,
  status: 200,
  answer: views.customer,
  key: "optional",
  optionalBody: true,
  body: noFields,
  problems: ["CUSTOMER_NOT_FOUND", "PERSONAL_DATA_KEY_MISSING"],
} as const;

/** Customers, as staff sees them. */
export const CUSTOMER_ROUTES: readonly Route[] = [
  route({
    id: "listCustomers",
    tag: "customers",
    summary: "List customers, oldest first",
    method: "GET",
    path: "/customers",
    roles: STAFF,
    action: "customer.list",
    status: 200,
    answer: pageOf(views.customer),
    query: LIST_QUERY,
    problems: ["CURSOR_INVALID", "PERSONAL_DATA_KEY_MISSING"],
    handle: listCustomers,
  }),
  route({
    id: "createCustomer",
    tag: "customers",
    summary: "Make a customer, who may order at once",
    more: "Name and e-mail address are stored encrypted. Nobody has an address twice, in whatever case it is written.",
    method: "POST",
    path: "/customers",
    roles: STAFF,
    action: "customer.create",
    status: 201,
    answer: views.customer,
    located: true,
    key: "optional",
    body: customerBody,
    problems: ["CUSTOMER_EMAIL_TAKEN", "PERSONAL_DATA_KEY_MISSING"],
    handle: createCustomer,
  }),
  route({
    id: "getCustomer",
    tag: "customers",
    summary: "Look at a customer",
    method: "GET",
    path: "/customers/:customerId",
    roles: STAFF,
    action: "customer.get",
    status: 200,
    answer: views.customer,
    problems: ["CUSTOMER_NOT_FOUND", "PERSONAL_DATA_KEY_MISSING"],
    handle: getCustomer,
  }),
  route({
    ...changing,
    id: "activateCustomer",
    path: "/customers/:customerId/activate",
    summary: "Let a customer order again",
    action: "customer.activate",
    handle: setCustomerStatus("activate"),
  }),
  route({
    ...changing,
    id: "deactivateCustomer",
    path: "/customers/:customerId/deactivate",
    summary: "Let a customer order no more",
    more: "Orders in hand go on.",
    action: "customer.deactivate",
    handle: setCustomerStatus("deactivate"),
  }),
];
