/**
 * Two coordinators work on the same transactions at once, on one PostgreSQL: one takes the replies of the tries, the
 * other takes everything over and is told to cancel. Each transaction is decided once, and what its participants are
 * asked fits that decision alone.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { Engine } from "../../engine/engine.ts";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import { createTccStore, findTransactions, insertTransactions } from "../../services/saga/tcc.store.ts";
import { seededRandom } from "../support/random.ts";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

const server = useServer();
const transactions = 200;
const random = seededRandom("tcc-two-coordinators");
// So short that each pass of the recovery finds everything due that the other is working on.
const leaseMs = 1;
const protocol = createTccProtocol([payOrderTcc], { leaseMs, callTimeoutMs: 5_000, tryAttemptsMax: 3 });

interface Coordinator {
  readonly engine: Engine<TccInstance, Tx>;
  /** Id and state of each transaction that was decided here. */
  readonly decided: (readonly [id: string, state: string])[];
  readonly ended: string[];
}

/** What the participants are asked: id, phase and name. */
const asked: string[] = [];

function coordinator(database: Database): Coordinator {
  const decided: (readonly [string, string])[] = [];
  const ended: string[] = [];
  const engine = new Engine<TccInstance, Tx>(
    protocol,
    {
      store: createTccStore(database),
      call: async ({ id }, { token }) => {
        asked.push(`${id} ${token.split(":")[0]}`);
        // Spread over the time that the other coordinator needs to cancel them all: that they meet is the point.
        await wait(random.between(0, 300));
        return { ok: true, result: {} };
      },
      now: () => new Date(),
      observer: {
        saved: (changes) => {
          for (const { before, after } of changes) {
            if (before.state === "TRYING" && after.state !== "TRYING") decided.push([after.id, after.state]);
          }
        },
        ended: (instances) => ended.push(...instances.map(({ id }) => id)),
      },
    },
    { leaseMs, batchSizeMax: 50 },
  );
  return { engine, decided, ended };
}

function newTransaction() {
  const [orderId, customerId] = [randomUUID(), randomUUID()];
  const input = { orderId, customerId, amountMinor: 100, currency: "EUR", paymentMethod: "sim_ok" };
  const common = { id: randomUUID(), type: "PAY_ORDER", businessKey: orderId, ownerId: customerId };
  return protocol.start({ ...common, input, correlationId: "correlation" }, new Date());
}

test("each transaction is decided once, and asked for nothing else", async () => {
  const { open } = await server.fresh("saga");
  const database = open();
  const [one, other] = [coordinator(database), coordinator(open())];
  const started = Array.from({ length: transactions }, newTransaction);
  const ids = started.map(({ instance }) => instance.id);
  await withTransaction(database, async (tx) =>
    insertTransactions(
      tx,
      started.map(({ instance }) => instance),
    ),
  );
  one.engine.adopt(started);
  const cancelling = ids.map((id) =>
    other.engine.offer(
      id,
      { kind: "cancel", code: "TEST", message: "Somebody cancels it." },
      () => undefined,
    ),
  );
  const [cancelled] = await Promise.all([
    Promise.all(cancelling),
    one.engine.recover(),
    other.engine.recover(),
  ]);
  await until("all have ended", async () => {
    await Promise.all([one.engine.recover(), other.engine.recover()]);
    const found = await findTransactions(database, ids);
    return found.every((transaction) => protocol.hasEnded(transaction));
  });
  await Promise.all([one.engine.drain(), other.engine.drain()]);

  const decisions = [...one.decided, ...other.decided];
  expect(decisions.map(([id]) => id).sort()).toEqual([...ids].sort());
  const state = new Map(decisions);
  const wrong = asked.filter((what) => {
    const [id = "", phase] = what.split(" ");
    return phase !== "try" && phase !== (state.get(id) === "CONFIRMING" ? "confirm" : "cancel");
  });
  expect(wrong).toEqual([]);
  const found = await findTransactions(database, ids);
  expect(new Map(found.map(({ id, state: end }) => [id, end]))).toEqual(
    new Map(decisions.map(([id, decision]) => [id, decision === "CONFIRMING" ? "CONFIRMED" : "CANCELLED"])),
  );
  // Whoever was told that the cancellation went through was told the truth.
  expect(ids.filter((_, index) => cancelled[index]).sort()).toEqual(
    ids.filter((id) => state.get(id) === "CANCELLING").sort(),
  );
  expect([...one.ended, ...other.ended].sort()).toEqual([...ids].sort());
  const decidedTo = new Set(decisions.map(([, to]) => to));
  expect(decidedTo).toEqual(new Set(["CONFIRMING", "CANCELLING"]));
  process.stderr.write(
    `two coordinators: ${decisions.filter(([, to]) => to === "CONFIRMING").length} confirmed, ` +
      `${decisions.filter(([, to]) => to === "CANCELLING").length} cancelled\n`,
  );
}, 60_000);
