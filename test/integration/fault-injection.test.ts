/**
 * Fault points where they have to be, and who may arm them. Every commit of lib/database.ts and every message of a bus
 * lies between two points; unit/fault-points-everywhere says that nobody writes or sends past these two.
 */
import { ServiceBroker } from "moleculer";
import { openBus } from "../../lib/bus/open-bus.ts";
import { callers } from "../../lib/callers.middleware.ts";
import { loadConfig } from "../../lib/config.ts";
import { withTransaction } from "../../lib/database.ts";
import { TOPICS } from "../../lib/events.ts";
import { faultInjection } from "../../lib/fault-injection.middleware.ts";
import { armFaults, faults, parseFaults, passCommit, passPoint } from "../../lib/fault-points.ts";
import { statement } from "../../lib/statement.ts";
import { openProvider } from "../../services/payment/psp/open-provider.ts";
import { useServer } from "../support/service-database.ts";

const server = useServer();
const noteTopic = statement("test_note", "insert into fault_notes (what) values ($1)");
const readTopics = statement("test_notes", "select what from fault_notes order by what");

const arm = (text: string) => armFaults(parseFaults(text) ?? []);
const FAULT = { type: "FAULT_INJECTED" };
afterEach(() => armFaults([]));

async function openNotes() {
  const database = (await server.fresh("order")).open({ name: "notes" });
  await database.query({ name: "test_create", text: "create table fault_notes (what text)" });
  const notes = async () => (await database.query<{ what: string }>(readTopics)).map(({ what }) => what);
  return { database, notes };
}

describe("a commit", () => {
  test("of a statement alone lies between two points", async () => {
    const { database, notes } = await openNotes();
    arm("notes.test_note.before-commit=throw,notes.test_note.after-commit=throw@2");
    await expect(database.query(noteTopic, ["before"])).rejects.toMatchObject(FAULT);
    await database.query(noteTopic, ["whole"]);
    await expect(database.query(noteTopic, ["after"])).rejects.toMatchObject(FAULT);
    expect(await notes()).toEqual(["after", "whole"]);
  });

  test("of a transaction too, also when it only sends or reads last", async () => {
    const { database, notes } = await openNotes();
    const note = (what: string) =>
      withTransaction(database, async (tx) => {
        tx.send(noteTopic, [what]);
        await tx.query(readTopics);
      });
    arm("notes.test_notes.before-commit=throw,notes.test_notes.after-commit=throw@2");
    await expect(note("before")).rejects.toMatchObject(FAULT);
    await note("whole");
    await expect(note("after")).rejects.toMatchObject(FAULT);
    armFaults([]);
    expect(await notes()).toEqual(["after", "whole"]);
  });

  test("is none where something was only read: that has one point", async () => {
    const { database, notes } = await openNotes();
    arm("notes.test_notes.before-read=throw,notes.test_notes.before-commit=throw");
    await expect(notes()).rejects.toMatchObject(FAULT);
    await expect(withTransaction(database, (tx) => tx.query(readTopics))).resolves.toEqual([]);
  });
});

test("what a bus sends lies between two points", async () => {
  const { url } = await server.fresh("bus");
  const bus = openBus(loadConfig({ BUS_DATABASE_URL: url }));
  const { name: topic } = TOPICS.orders;
  try {
    await bus.ensureTopics([{ name: topic, partitions: 1, retentionMs: 60_000 }]);
    const send = (key: string) => bus.publish([{ topic, key, value: "{}", headers: {} }]);
    arm("bus.publish.before-send=throw,bus.publish.after-reply=throw@2");
    await expect(send("before")).rejects.toMatchObject(FAULT);
    await send("whole");
    await expect(send("after")).rejects.toMatchObject(FAULT);
    armFaults([]);
    expect(await bus.lag("nobody", [topic])).toMatchObject([{ lag: 2 }]);
  } finally {
    await bus.close();
  }
});

test("what a provider is asked lies between two points", async () => {
  const { url } = await server.fresh("payment");
  const provider = openProvider(loadConfig({ PAYMENT_DATABASE_URL: url }), {
    deliver: async () => undefined,
    onError: () => undefined,
  });
  const id = "01990000-0000-7000-8000-000000000001";
  const orderId = "01990000-0000-7000-8000-000000000002";
  const authorisation = { id, orderId, amountMinor: 1, currency: "EUR", paymentMethod: "sim_ok" };
  const { signal } = new AbortController();
  try {
    for (const [index, operation] of (["authorise", "capture", "refund", "void"] as const).entries()) {
      const attemptId = id.replace(/1$/, String(index + 1));
      const request = { operation, attemptId, amountMinor: 1, authorisation };
      for (const ask of [operation, "lookup"] as const) {
        arm(`psp.${ask}.before-send=throw,psp.${ask}.after-reply=throw`);
        await expect(provider[ask](request, signal)).rejects.toMatchObject(FAULT);
        await expect(provider[ask](request, signal)).rejects.toMatchObject(FAULT);
      }
    }
  } finally {
    await provider.stop?.();
  }
});

describe("arming while it runs", () => {
  const brokers: ServiceBroker[] = [];
  afterEach(async () => {
    for (const broker of brokers.splice(0)) await broker.stop();
  });

  async function startBroker(env: NodeJS.ProcessEnv) {
    const middlewares = [callers(), faultInjection(loadConfig({ SERVICES: "order", ...env }))];
    const broker = new ServiceBroker({ logger: false, middlewares });
    brokers.push(broker);
    await broker.start();
    const call = (params: object, caller = "gateway") =>
      broker.call("faults.arm", { actor: "somebody", ...params }, { caller });
    return call;
  }

  test("is not possible outside demo mode, whoever asks", async () => {
    const call = await startBroker({});
    await expect(call({ faults: "here=throw" })).rejects.toMatchObject({ type: "SERVICE_NOT_FOUND" });
    expect(faults.armed).toBe(false);
  });

  test.each([{ DEMO: "true" }, { FAULT_INJECTION: "true" }])("is possible with %j", async (env) => {
    const call = await startBroker(env);
    await call({ faults: "here=throw", service: "order" });
    await expect(passPoint("here")).rejects.toMatchObject(FAULT);
    await call({ faults: "" });
    expect(faults.armed).toBe(false);
  });

  test("what an action writes is named after it, whoever called it", async () => {
    const call = await startBroker({ DEMO: "true" });
    await call({ faults: "stock.reserve.insert_line.before-commit=throw" });
    const [broker] = brokers;
    broker?.createService({
      name: "stock",
      actions: { reserve: () => passCommit("any", "insert_line", "before") },
    });
    await broker?.waitForServices("stock");
    await expect(broker?.call("stock.reserve")).rejects.toMatchObject(FAULT);
  });

  test("concerns the nodes of the named service alone", async () => {
    const call = await startBroker({ DEMO: "true" });
    await call({ faults: "here=throw", service: "payment" });
    expect(faults.armed).toBe(false);
  });

  test("is for the gateway alone, and for what can be read", async () => {
    const call = await startBroker({ DEMO: "true" });
    await expect(call({ faults: "here=throw" }, "order")).rejects.toMatchObject({
      type: "CALLER_NOT_ALLOWED",
    });
    await expect(call({ faults: "here=explode" })).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
    expect(faults.armed).toBe(false);
  });
});
