import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { portOf } from "../../lib/http-server.ts";
import { newKeyRing } from "../../lib/personal-data/key-ring.ts";
import { type HttpAnswer, http } from "../support/http.ts";
import { run, useServer } from "../support/service-database.ts";
import { AUDIENCE, ISSUER, makeKey, STAFF, writeKeys } from "../support/tokens.ts";

/** Customers through the real gateway, in a real database that holds no name and no address. */

const server = useServer();
let url: string;
let address: string;
let broker: ServiceBroker;
const tokens: Record<string, string> = {};

beforeAll(async () => {
  ({ url } = await server.fresh("customer"));
  const bus = await server.fresh("bus");
  const key = await makeKey("key-1");
  Object.assign(process.env, {
    CUSTOMER_DATABASE_URL: url,
    BUS_DATABASE_URL: bus.url,
    PORT: "auto",
    INTERNAL_PORT: "auto",
    LOG_LEVEL: "fatal",
    SERVICES: "gateway,customer",
    JWT_KEYS: writeKeys([key.jwk]),
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    PERSONAL_DATA_KEYS: newKeyRing("test"),
  });
  const settings = loadConfig();
  // What reads the settings as it is loaded.
  const { brokerOptions } = await import("../../moleculer.config.ts");
  const { gatewayService } = await import("../../services/gateway/gateway.service.ts");
  const { default: customer } = await import("../../services/customer/customer.service.ts");
  broker = new ServiceBroker({ ...brokerOptions(settings), skipProcessEventRegistration: true });
  broker.createService(customer);
  broker.createService(gatewayService(settings));
  await broker.start();
  address = `http://127.0.0.1:${portOf(broker, "PORT")}/api`;
  tokens.staff = await key.sign({ sub: STAFF, roles: ["staff"] });
  tokens.customer = await key.sign();
  tokens.operator = await key.sign({ roles: ["operator"] });
});

afterAll(() => broker.stop());

const get = (path: string, as = "staff") =>
  http(address + path, { headers: { authorization: `Bearer ${tokens[as]}` } });

function post(path: string, body?: object, { as = "staff", key = undefined as string | undefined } = {}) {
  const headers = {
    authorization: `Bearer ${tokens[as]}`,
    ...(body !== undefined && { "content-type": "application/json" }),
    ...(key !== undefined && { "idempotency-key": key }),
  };
  return http(address + path, { method: "POST", headers, body: body && JSON.stringify(body) });
}

const person = () => ({ name: `Zoë O'Plant ${randomUUID()}`, email: `Zoe.${randomUUID()}@Example.org` });
const idOf = (answer: HttpAnswer) => String(answer.body?.customerId);

test("a customer is created, found and listed as they came, and stored as ciphertexts", async () => {
  const given = person();
  const created = await post("/customers", given);
  expect(created).toMatchObject({ status: 201, body: { ...given, status: "active" } });
  const id = idOf(created);
  expect(created.headers.location).toBe(`/api/customers/${id}`);
  expect(await get(`/customers/${id}`)).toMatchObject({ status: 200, body: created.body });
  const rows = await run(url, "select * from customers where id = $1", [id]);
  expect(rows).toMatchObject([
    { name: expect.stringMatching(/^p1\.test\./), email: expect.stringMatching(/^p1\./) },
  ]);
  const listed = await get("/customers?limit=100&status=active");
  expect(listed.body?.items).toContainEqual(created.body);
});

test("nobody has an address twice, in whatever case", async () => {
  const given = person();
  await post("/customers", given);
  const again = { name: "Another", email: given.email.toUpperCase() };
  expect(await post("/customers", again, { key: "taken" })).toMatchObject({
    status: 409,
    body: { code: "CUSTOMER_EMAIL_TAKEN" },
  });
  // A refusal leaves the key unused.
  expect(await post("/customers", person(), { key: "taken" })).toMatchObject({ status: 201 });
  const at = person().email;
  const both = await Promise.all([1, 2, 3, 4].map(() => post("/customers", { ...person(), email: at })));
  expect(both.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
});

test("the same request under a key is answered the same, another one refused, and what is stored says no name", async () => {
  const [given, key] = [person(), randomUUID()];
  const answers = await Promise.all([1, 2, 3].map(() => post("/customers", given, { key })));
  expect(new Set(answers.map(idOf)).size).toBe(1);
  for (const answer of answers) expect(answer).toMatchObject({ status: 201, body: given });
  expect(answers.filter(({ headers }) => headers["idempotent-replayed"] === "true")).toHaveLength(2);
  expect(await post("/customers", { ...given, name: "Other" }, { key })).toMatchObject({
    status: 422,
    body: { code: "IDEMPOTENCY_KEY_REUSED" },
  });
  const [record] = await run(url, "select r::text as text from idempotency_records r where key = $1", [key]);
  expect(record?.text).not.toMatch(/Plant|Zoe/i);
});

test("deactivated and activated again, each as often as one likes", async () => {
  const id = idOf(await post("/customers", person()));
  const versions = () => run(url, "select status, version from customers where id = $1", [id]);
  for (const _ of [1, 2]) {
    expect(await post(`/customers/${id}/deactivate`)).toMatchObject({
      status: 200,
      body: { status: "inactive" },
    });
  }
  expect(await versions()).toEqual([{ status: "inactive", version: 2 }]);
  await expect(
    broker.call("customer.validate", { customerId: id }, { caller: "saga" }),
  ).rejects.toMatchObject({
    type: "CUSTOMER_INACTIVE",
  });
  const key = randomUUID();
  for (const replayed of [undefined, "true"]) {
    const answer = await post(`/customers/${id}/activate`, {}, { key });
    expect(answer).toMatchObject({ status: 200, body: { customerId: id, status: "active" } });
    expect(answer.headers["idempotent-replayed"]).toBe(replayed);
  }
  expect(await versions()).toEqual([{ status: "active", version: 3 }]);
});

test("pages follow one another to the end, each customer once", async () => {
  for (const _ of [1, 2, 3]) await post("/customers", person());
  const [total] = await run<{ count: number }>(url, "select count(*)::int as count from customers");
  const ids: string[] = [];
  let cursor = "";
  do {
    const { body } = await get(`/customers?limit=2${cursor && `&cursor=${cursor}`}`);
    const items = (body?.items ?? []) as readonly { customerId: string }[];
    ids.push(...items.map((item) => item.customerId));
    cursor = String(body?.nextCursor ?? "");
  } while (cursor !== "");
  expect(ids).toHaveLength(total?.count ?? 0);
  expect(ids).toEqual([...new Set(ids)].sort());
});

test.each([
  ["a customer", "customer"],
  ["an operator", "operator"],
])("%s may neither look nor touch", async (_who, as) => {
  const id = randomUUID();
  for (const path of ["/customers", `/customers/${id}`])
    expect(await get(path, as)).toMatchObject({ status: 403 });
  for (const path of ["/customers", `/customers/${id}/activate`, `/customers/${id}/deactivate`])
    expect(await post(path, person(), { as })).toMatchObject({ status: 403 });
});

test("what is not there or not right is refused", async () => {
  const id = randomUUID();
  const missing = { status: 404, body: { code: "CUSTOMER_NOT_FOUND" } };
  expect(await get(`/customers/${id}`)).toMatchObject(missing);
  expect(await get("/customers/17")).toMatchObject(missing);
  expect(await post(`/customers/${id}/deactivate`)).toMatchObject(missing);
  expect(await post(`/customers/${id}/deactivate`, { reason: "x" })).toMatchObject({ status: 422 });
  expect(await get("/customers?status=gone")).toMatchObject({ status: 422 });
  const bodies = [
    { name: "A" },
    { name: "A", email: "none" },
    { name: "A\u0000", email: "a@b" },
    { ...person(), id },
  ];
  for (const body of bodies) expect(await post("/customers", body)).toMatchObject({ status: 422 });
});

test("who changed a customer is in the audit trail, without name and address", async () => {
  const given = person();
  const id = idOf(await post("/customers", given));
  await post(`/customers/${id}/deactivate`);
  await post("/customers", given);
  const entries = await run(
    url,
    "select actor, action, t::text as text from audit_trail t where target = $1 order by 1, 2",
    [`customer ${id}`],
  );
  expect(entries).toMatchObject([
    { actor: STAFF, action: "customer.create" },
    { actor: STAFF, action: "customer.deactivate" },
  ]);
  for (const { text } of entries) expect(text).not.toMatch(/Plant|Zoe/i);
});
