import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { EVENTS, TOPICS } from "../../lib/events.ts";
import { exampleOf, type JsonSchema } from "../../services/gateway/contract/json-schema.ts";
import { type OpenApi, templateOf } from "../../services/gateway/contract/openapi.ts";
import { codesOf } from "../../services/gateway/contract/problem-responses.ts";
import { PROBLEMS } from "../../services/gateway/contract/problems.ts";
import { ROUTES } from "../../services/gateway/routes.ts";
import { runScript } from "../support/demo-process.ts";
import { type HttpAnswer, http } from "../support/http.ts";
import { startGateway, type TestGateway } from "../support/test-gateway.ts";

/** The documents that the gateway shows say what the gateway does: no more, no less. */

let gateway: TestGateway;
let document: OpenApi;

beforeAll(async () => {
  gateway = await startGateway();
  document = (await show("/openapi.json")).body as unknown as OpenApi;
});

afterAll(() => gateway.broker.stop());

const show = (path: string, headers = {}): Promise<HttpAnswer> => http(gateway.url + path, { headers });

/** The gateway's live table, as moleculer-web matches it. */
function aliases(): string[] {
  const service = gateway.broker.getLocalService("gateway") as unknown as {
    aliases: { method: string; fullPath: string }[];
  };
  return service.aliases
    .filter(({ fullPath }) => fullPath.startsWith("/api/"))
    .map(({ method, fullPath }) => `${method} ${templateOf(fullPath.slice("/api".length))}`);
}

const documented = () =>
  Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );

test("every address of the gateway is in the document, and nothing else is", () => {
  expect(documented().sort()).toEqual(aliases().sort());
});

test("the document is clean to a linter that knows OpenAPI 3.1", async () => {
  // It publishes ES modules only, which jest cannot load.
  const { code, output } = await runScript(["contract.ts", "lint"], {});
  expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining("is clean") });
});

test("what is made of the table and kept in the repository is up to date", async () => {
  await expect(runScript(["contract.ts", "check"], {})).resolves.toMatchObject({ code: 0, output: "" });
});

test("operations have names of their own, roles, and the refusals that any such request may get", () => {
  const ids = ROUTES.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)]);
  for (const route of ROUTES) {
    const operation = document.paths[templateOf(route.path)]?.[route.method.toLowerCase()];
    expect(Object.keys(operation?.responses ?? {})).toEqual(expect.arrayContaining(["500", "503", "504"]));
    if (route.signed) continue;
    expect(operation?.["x-roles"]).toEqual(route.roles);
    expect(operation?.description).toContain(`Roles: ${route.roles.join(", ")}.`);
    expect(Object.keys(operation?.responses ?? {})).toEqual(expect.arrayContaining(["401", "403"]));
  }
});

test("every code is one that some route answers, or that is answered where there is no route", () => {
  const answered = new Set(ROUTES.flatMap(codesOf));
  const elsewhere = ["NOT_FOUND", "METHOD_NOT_ALLOWED"];
  expect(Object.keys(PROBLEMS).sort()).toEqual([...answered, ...elsewhere].sort());
});

test("what the document gives as examples is what it asks for", () => {
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  for (const { id, answer, body } of ROUTES) {
    for (const schema of [answer, body]) {
      const isFit = schema === undefined || ajv.validate(schema as JsonSchema, exampleOf(schema));
      expect({ id, errors: isFit ? "" : ajv.errorsText() }).toEqual({ id, errors: "" });
    }
  }
});

test("the events' document has every event on its topic, with an example that fits its schema", async () => {
  const { body } = await show("/asyncapi.json");
  const { asyncapi, channels, components } = body as unknown as {
    asyncapi: string;
    channels: Record<string, { address: string; messages: object }>;
    components: { messages: Record<string, { payload: JsonSchema; examples: { payload: unknown }[] }> };
  };
  expect(asyncapi).toBe("3.0.0");
  const byTopic = new Map(Object.values(channels).map((one) => [one.address, Object.keys(one.messages)]));
  expect([...byTopic.keys()].sort()).toEqual(
    Object.values(TOPICS)
      .map(({ name }) => name)
      .sort(),
  );
  for (const [type, { topic }] of Object.entries(EVENTS)) expect(byTopic.get(topic)).toContain(type);
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  for (const [type, { payload, examples }] of Object.entries(components.messages)) {
    const isFit = ajv.validate(payload, examples[0]?.payload);
    expect({ type, errors: isFit ? "" : ajv.errorsText() }).toEqual({ type, errors: "" });
  }
});

test("the page at /docs comes from the gateway alone, and may run nothing else", async () => {
  const page = await show("/docs");
  expect(page.headers).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": expect.stringContaining("script-src 'self';"),
  });
  const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = ""]) => link);
  expect(links).toHaveLength(4);
  for (const link of links) expect(await show(link)).toMatchObject({ status: 200 });
  expect(page.text).not.toMatch(/<script>|style=|onload|https?:/);
  const zipped = await show("/docs/swagger-ui-bundle.js", { "accept-encoding": "gzip" });
  expect(zipped.headers["content-encoding"]).toBe("gzip");
  for (const path of ["/docs/package.json", "/docs/..%2fpackage.json", "/docs/swagger-ui.js.map"])
    expect(await show(path)).toMatchObject({ status: 404 });
});

test("a deployment that shows no documents has none", async () => {
  const closed = await startGateway({ DOCS: "false" });
  try {
    for (const path of ["/docs", "/openapi.json", "/asyncapi.json"])
      expect(await http(closed.url + path)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    expect((await http(`${closed.url}/`)).body).toEqual({ name: "holdfast" });
  } finally {
    await closed.broker.stop();
  }
});

test("a deployment that shows its documents inside shows them on the internal port, and there alone", async () => {
  const inside = await startGateway({ DOCS: "internal" });
  try {
    for (const path of ["/docs", "/docs/docs.js", "/openapi.json", "/asyncapi.json"]) {
      expect(await http(inside.url + path)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
      expect(await http(inside.internal + path)).toMatchObject({ status: 200 });
    }
    const shown = await http(`${inside.internal}/openapi.json`);
    expect(shown.text).toBe((await show("/openapi.json")).text);
    expect(await http(`${inside.internal}/docs`, { method: "POST" })).toMatchObject({ status: 405 });
    expect(await http(`${inside.internal}/live`)).toMatchObject({ status: 200 });
  } finally {
    await inside.broker.stop();
  }
});
