import { randomUUID } from "node:crypto";
import type { Change } from "../../engine/ports.ts";
import type { Input, Instance, Protocol, PublishEffect } from "../../engine/protocol.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { EVENTS } from "../../lib/events.ts";
import { appendEvents } from "../../mixins/outbox.store.ts";
import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import { createSagaStore, insertSagas } from "../../services/saga/saga.store.ts";
import { createTccStore, insertTransactions } from "../../services/saga/tcc.store.ts";
import { type Random, seededRandom } from "../support/random.ts";
import { useServer } from "../support/service-database.ts";
import { SAGA_RULES, TCC_RULES } from "./model-store.ts";
import { type Bench, modelBench, realBench } from "./store-bench.ts";

/** The same drawn operations to the stores of services/saga on a real PostgreSQL and to the simulation's model of them. */

const server = useServer();
const OPERATIONS = 400;
const HOUR_MS = 3_600_000;
/** All times are multiples of this; what the two clocks differ by is far below. */
const GRAIN_MS = HOUR_MS / 12;

const about = () => ({ businessKey: randomUUID(), ownerId: randomUUID(), correlationId: "correlation" });
const sagas = createSagaProtocol([createOrderSaga(30_000)], 4_000);
const transactions = createTccProtocol([payOrderTcc], {
  leaseMs: 4_000,
  callTimeoutMs: 5_000,
  tryAttemptsMax: 3,
});

function newSaga() {
  const input = { orderId: randomUUID(), customerId: "c", items: [{ productId: "p", quantity: 1 }] };
  return sagas.start({ id: randomUUID(), type: "CREATE_ORDER", input, ...about() }, new Date(0)).instance;
}

function newTransaction(random: Random) {
  const input = {
    orderId: randomUUID(),
    customerId: "c",
    amountMinor: 1,
    currency: "EUR",
    paymentMethod: "ok",
  };
  const { instance } = transactions.start(
    { id: randomUUID(), type: "PAY_ORDER", input, ...about() },
    new Date(0),
  );
  return { ...instance, deadlineMs: random.chance(0.3) ? 0 : HOUR_MS };
}

/** As far as the two can be alike: times are of different clocks. */
function comparable<I extends Instance>(instances: readonly I[]) {
  const grains = (ms: number | null) => (ms === null ? null : Math.round(ms / GRAIN_MS));
  return instances
    .map(({ wakeInMs, ...rest }) => ({ ...JSON.parse(JSON.stringify(rest)), wake: grains(wakeInMs) }))
    .map(({ createdAt, updatedAt, ...rest }) => rest)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

class Both<I extends Instance> {
  private readonly random: Random;
  private readonly protocol: Protocol<I>;
  private readonly create: () => I;
  /** Makes of what a change leads to what is rarely drawn. */
  private readonly vary: (after: I) => I;
  private readonly benches: readonly [Bench<I>, Bench<I>];
  private readonly ids: string[] = [];
  private readonly seen = new Map<string, I>();
  private events = 0;

  constructor(
    random: Random,
    protocol: Protocol<I>,
    create: () => I,
    benches: readonly [Bench<I>, Bench<I>],
    vary: (after: I) => I = (after) => after,
  ) {
    this.random = random;
    this.protocol = protocol;
    this.create = create;
    this.vary = vary;
    this.benches = benches;
  }

  async step(): Promise<void> {
    const { random } = this;
    const which = random.next();
    if (this.ids.length < 3 || which < 0.1) await this.insert();
    else if (which < 0.25) await this.loadSome();
    else if (which < 0.4) await this.claim();
    else if (which < 0.5) await this.pass();
    else if (which < 0.7) await this.saveAlone();
    else if (which < 0.85) await this.saveInTransaction();
    else await this.contend();
  }

  async compareAll(): Promise<void> {
    const [real, model] = await Promise.all(this.benches.map((bench) => bench.rows()));
    const rowsOf = (rows: typeof real = []) =>
      comparable(rows.map(({ wakesInMs, ...row }) => ({ ...row, wakeInMs: wakesInMs }) as unknown as I));
    expect(rowsOf(model)).toEqual(rowsOf(real));
    const [told, modelled] = await Promise.all(this.benches.map((bench) => bench.events()));
    expect([...(modelled ?? [])].sort()).toEqual([...(told ?? [])].sort());
  }

  /** Does the same to both; what they answer must be the same. */
  private async alike<Answer>(act: (bench: Bench<I>) => Promise<Answer>): Promise<Answer> {
    const [real, model] = [await act(this.benches[0]), await act(this.benches[1])];
    expect(model).toEqual(real);
    return real;
  }

  private async insert(): Promise<void> {
    const instances = Array.from({ length: this.random.between(1, 3) }, this.create);
    for (const instance of instances) this.ids.push(instance.id);
    await this.alike((bench) => bench.insert(instances));
    await this.alike((bench) => this.load(bench, this.ids));
  }

  private async loadSome(): Promise<void> {
    const ids = this.some();
    await this.alike((bench) => this.load(bench, ids));
  }

  private async load(bench: Bench<I>, ids: readonly string[]) {
    const loaded = await bench.run(bench.store.transaction((tx) => bench.store.load(tx, [...ids].sort())));
    if (bench === this.benches[0]) for (const instance of loaded) this.seen.set(instance.id, instance);
    return comparable(loaded);
  }

  private async claim(): Promise<void> {
    await this.alike(async (bench) => comparable(await bench.run(bench.store.claimDue(1_000, HOUR_MS))));
  }

  private async pass(): Promise<void> {
    const timeMs = this.random.chance(0.5) ? 5 * GRAIN_MS : 2 * HOUR_MS;
    await this.alike((bench) => bench.pass(timeMs));
  }

  private async saveAlone(): Promise<void> {
    const changes = this.changes();
    await this.alike(async (bench) => [...(await bench.run(bench.store.saveAlone(changes)))].sort());
  }

  private async saveInTransaction(): Promise<void> {
    const changes = this.changes();
    const fails = this.random.chance(0.3);
    await this.alike(async (bench) => {
      const work = async (tx: unknown) => {
        const saved = await bench.store.save(tx, changes);
        if (fails) throw new Error("changed its mind");
        return [...saved].sort();
      };
      return bench.run(bench.store.transaction(work).catch((error: Error) => error.message));
    });
  }

  /** One transaction holds rows; others claim past it, and wait for it. */
  private async contend(): Promise<void> {
    const changes = this.changes();
    const others = this.changes();
    const fails = this.random.chance(0.3);
    await this.alike(async (bench) => {
      let isHeld = false;
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      const holding = bench.store
        .transaction(async (tx) => {
          const saved = await bench.store.save(tx, changes);
          isHeld = true;
          await gate;
          if (fails) throw new Error("changed its mind");
          return [...saved].sort();
        })
        .catch((error: Error) => error.message);
      await bench.until("the rows are held", () => isHeld);
      const claimed = comparable(await bench.run(bench.store.claimDue(1_000, HOUR_MS)));
      const waiting = bench.store.saveAlone(others);
      open();
      return { claimed, held: await bench.run(holding), saved: [...(await bench.run(waiting))].sort() };
    });
  }

  /** From what was seen last, which may have changed since. */
  private changes(): Change<I>[] {
    return this.some().flatMap((id) => {
      const before = this.seen.get(id);
      if (!before) return [];
      const outcome = this.protocol.advance(before, this.input(before), new Date(1_000));
      const wakeInMs = outcome.instance.wakeInMs === null ? null : this.random.chance(0.3) ? 0 : HOUR_MS;
      const published = outcome.effects.filter(
        (effect): effect is PublishEffect => effect.kind === "publish",
      );
      return [{ before, after: this.vary({ ...outcome.instance, wakeInMs }), published }];
    });
  }

  private input(before: I): Input {
    const { random } = this;
    const [owed] = this.protocol.owed(before);
    if (owed && random.chance(0.7)) {
      const error = { type: "NO", message: "no", status: 422, retryable: random.chance(0.5), data: {} };
      const reply = random.chance(0.75) ? { ok: true as const, result: {} } : { ok: false as const, error };
      return { kind: "reply", token: owed.token, reply };
    }
    if (random.chance(0.3)) return { kind: "cancel", code: "CANCELLED", message: "" };
    const type = random.chance(0.7) ? "STOCK_RESERVED" : "STOCK_RELEASED";
    this.events += 1;
    return random.chance(0.3)
      ? { kind: "timer" }
      : { kind: "event", eventId: `${this.events}`, type, data: {} };
  }

  private some(): string[] {
    const chosen = new Set<string>();
    for (let count = this.random.between(1, 3); count > 0; count -= 1) {
      chosen.add(this.ids[this.random.between(0, this.ids.length - 1)] ?? "");
    }
    return [...chosen].sort();
  }
}

async function hold<I extends Instance>(both: Both<I>): Promise<void> {
  for (let operation = 1; operation <= OPERATIONS; operation += 1) {
    await both.step();
    if (operation % 20 === 0) await both.compareAll();
  }
}

test("sagas: the model answers as PostgreSQL does", async () => {
  const { url, open } = await server.fresh("saga");
  const database = open();
  const store = createSagaStore(database, (tx, events) =>
    appendEvents(
      tx,
      events.map((event) => ({ ...event, ...EVENTS[event.type] })),
    ),
  );
  const real = realBench({ url, database, store, table: "saga_instances", insert: insertSagas });
  await hold(new Both(seededRandom("sagas"), sagas, newSaga, [real, modelBench(SAGA_RULES)]));
}, 120_000);

test("transactions: the model answers as PostgreSQL does", async () => {
  const { url, open } = await server.fresh("saga");
  const database = open();
  const store = createTccStore(database);
  const real = realBench({ url, database, store, table: "tcc_transactions", insert: insertTransactions });
  const random = seededRandom("transactions");
  const create = () => newTransaction(random);
  const decideOften = (after: TccInstance): TccInstance =>
    after.state === "TRYING" && random.chance(0.5) ? { ...after, state: "CONFIRMING" } : after;
  await hold(new Both(random, transactions, create, [real, modelBench(TCC_RULES)], decideOften));
}, 120_000);
