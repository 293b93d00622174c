import { type CallingOptions, ServiceBroker } from "moleculer";
import { callers } from "../../lib/callers.middleware.ts";
import { defineService } from "../../lib/define.ts";
import { SERVICE_NAMES } from "../../lib/settings.ts";

/** Who may call which action. */

/** Of moleculer-web, for the server in its own process. */
const OPEN_WITHIN_ITS_PROCESS = ["gateway.rest"];

test("every action of every service says who may call it", async () => {
  Object.assign(process.env, { DATABASE_URL: "postgres://127.0.0.1:1/oms", JWT_KEYS: "none" });
  const broker = new ServiceBroker({ logger: false });
  const silent: string[] = [];
  const named = new Set<string>();
  for (const name of SERVICE_NAMES) {
    const { default: schema } = await import(`../../services/${name}/${name}.service.ts`);
    const service = broker.createService(schema);
    for (const [action, definition] of Object.entries<unknown>(service.schema.actions ?? {})) {
      const { callers: allowed } = Object(definition);
      if (!Array.isArray(allowed) || allowed.length === 0) silent.push(`${name}.${action}`);
      else for (const caller of allowed) named.add(caller);
    }
  }
  expect(silent).toEqual(OPEN_WITHIN_ITS_PROCESS);
  expect(SERVICE_NAMES).toEqual(expect.arrayContaining([...named]));
});

describe("in one process", () => {
  const calls: string[] = [];
  const broker = new ServiceBroker({ logger: false, middlewares: [callers()] });
  broker.createService(
    defineService()({
      name: "payment",
      actions: { confirm: { callers: ["saga", "gateway"], handler: () => calls.push("confirm") } },
    }),
  );
  broker.createService({ name: "other", actions: { open: () => calls.push("open") } });
  for (const name of ["saga", "customer"]) {
    broker.createService({ name, actions: { pass: (ctx) => ctx.call("payment.confirm") } });
  }
  beforeAll(() => broker.start());
  beforeEach(() => calls.splice(0));
  afterAll(() => broker.stop());

  const confirm = (options: CallingOptions = {}) => broker.call("payment.confirm", {}, options);

  test("whom an action names may call it, in a context or by name", async () => {
    await broker.call("saga.pass");
    await confirm({ caller: "gateway" });
    expect(calls).toEqual(["confirm", "confirm"]);
  });

  test("anybody else is refused before the action sees it", async () => {
    const refusal = { code: 500, type: "CALLER_NOT_ALLOWED" };
    await expect(broker.call("customer.pass")).rejects.toMatchObject(refusal);
    await expect(confirm({ caller: "order" })).rejects.toMatchObject(refusal);
    await expect(confirm()).rejects.toMatchObject(refusal);
    expect(calls).toEqual([]);
  });

  test("an action that names nobody is open to its own process", async () => {
    await broker.call("other.open");
    expect(calls).toEqual(["open"]);
  });
});
