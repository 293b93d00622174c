import { ROUTES } from "../routes.ts";
import { exampleOf, type JsonSchema } from "./json-schema.ts";
import { type Route, TAGS } from "./route.ts";

/**
 * The API as a Postman collection (v2.1), one folder for each tag. Its variables are the address, a token for each role
 * and the ids that earlier answers have told, so that the folder "First order" can be run from top to end.
 */

const SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
const LONG_AGO = "01990000-0000-7000-8000-0000000000a1";

const VARIABLES = {
  baseUrl: "http://127.0.0.1:3000/api",
  customerToken: "",
  staffToken: "",
  operatorToken: "",
  serviceToken: "",
  productId: LONG_AGO,
  orderId: LONG_AGO,
  sagaId: LONG_AGO,
  transactionId: LONG_AGO,
  paymentId: LONG_AGO,
} as const;

function nameOfId(path: string, name: string): string {
  if (name === "provider") return "simulator";
  if (name in VARIABLES) return `{{${name}}}`;
  if (path.startsWith("/payments/c")) return "{{transactionId}}";
  return LONG_AGO;
}

const pathOf = ({ path }: Route) => path.replace(/:(\w+)/g, (_, name: string) => nameOfId(path, name));

function headersOf(route: Route): { key: string; value: string }[] {
  return [
    ...(route.signed ? [] : [{ key: "Authorization", value: `Bearer {{${route.roles[0]}Token}}` }]),
    ...(route.key === undefined ? [] : [{ key: "Idempotency-Key", value: "{{$guid}}" }]),
    ...(route.waits || route.settles ? [{ key: "Prefer", value: "wait=10" }] : []),
    ...(route.body === undefined ? [] : [{ key: "Content-Type", value: "application/json" }]),
  ];
}

function requestOf(route: Route, given?: unknown): JsonSchema {
  const body = given ?? (route.body && exampleOf(route.body));
  const query = Object.entries(route.query).map(([key, schema]) => ({
    key,
    value: String(exampleOf(schema)),
    disabled: true,
  }));
  const segments = pathOf(route).slice(1).split("/");
  return {
    method: route.method,
    description: [route.summary, route.more].filter((part) => part !== undefined).join("\n\n"),
    header: headersOf(route),
    url: {
      raw: `{{baseUrl}}${pathOf(route)}`,
      host: ["{{baseUrl}}"],
      path: segments,
      ...(query.length > 0 && { query }),
    },
    ...(body !== undefined && { body: { mode: "raw", raw: JSON.stringify(body, null, 2) } }),
  };
}

interface Step {
  readonly id: string;
  readonly body?: unknown;
  readonly name: string;
  /** Statements of Postman's own language. */
  readonly checks: readonly string[];
}

const accepted = (...names: readonly string[]) => [
  // 200 once it has ended: they prefer to wait.
  "pm.test('accepted', () => pm.expect(pm.response.code).to.be.oneOf([200, 202]));",
  ...names.map((name) => `pm.collectionVariables.set('${name}', pm.response.json().${name});`),
];
const ended = (field: string, value: string) => [
  "pm.test('answered', () => pm.response.to.have.status(200));",
  `pm.test('${field} is ${value}', () => pm.expect(pm.response.json().${field}).to.eql('${value}'));`,
];

const STORY: readonly Step[] = [
  {
    id: "listProducts",
    name: "What is there?",
    checks: [
      "pm.test('answered', () => pm.response.to.have.status(200));",
      "pm.collectionVariables.set('productId', pm.response.json().items.find((one) => one.available > 9).productId);",
    ],
  },
  {
    id: "createOrder",
    name: "Order two of it",
    body: { items: [{ productId: "{{productId}}", quantity: 2 }] },
    checks: accepted("orderId", "sagaId"),
  },
  { id: "getSaga", name: "Wait for its saga", checks: ended("state", "COMPLETED") },
  { id: "getOrder", name: "Look at it", checks: ended("status", "created") },
  { id: "payOrder", name: "Pay", body: { paymentMethod: "sim_ok" }, checks: accepted("transactionId") },
  { id: "getTransaction", name: "Wait for the payment", checks: ended("state", "CONFIRMED") },
  { id: "getOrderStatus", name: "It is paid", checks: ended("status", "paid") },
  {
    id: "listPayments",
    name: "Look at its payment",
    checks: [
      "pm.test('answered', () => pm.response.to.have.status(200));",
      "pm.collectionVariables.set('paymentId', pm.response.json().items[0].paymentId);",
    ],
  },
  { id: "shipOrder", name: "Ship it", checks: ended("status", "shipping") },
  { id: "completeOrder", name: "Complete it", checks: ended("status", "completed") },
];

function story(): JsonSchema {
  const items = STORY.map(({ id, name, body, checks }) => {
    const route = ROUTES.find((one) => one.id === id);
    if (route === undefined) throw new TypeError(`the story of the collection knows no operation ${id}`);
    const event = [{ listen: "test", script: { type: "text/javascript", exec: checks } }];
    return { name, event, request: requestOf(route, body) };
  });
  return { name: "First order", description: "From the catalogue to a completed order.", item: items };
}

export function postmanCollection(): JsonSchema {
  const folders = Object.entries(TAGS).map(([tag, description]) => ({
    name: tag,
    description,
    item: ROUTES.filter((route) => route.tag === tag).map((route) => ({
      name: `${route.method} ${route.path}`,
      request: requestOf(route),
    })),
  }));
  return {
    info: {
      name: "Holdfast",
      description: "Generated by `npm run contract`. Tokens are in the demo file: `.data/demo.json`.",
      schema: SCHEMA,
    },
    variable: Object.entries(VARIABLES).map(([key, value]) => ({ key, value })),
    item: [story(), ...folders],
  };
}
