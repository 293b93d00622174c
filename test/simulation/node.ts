import { Engine } from "../../engine/engine.ts";
import type { EngineObserver } from "../../engine/ports.ts";
import type { Instance, Outcome, Protocol } from "../../engine/protocol.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import type { BusEvent } from "./model-bus.ts";
import type { ModelDatabase, ModelTx } from "./model-database.ts";
import type { Table } from "./model-store.ts";
import type { Network } from "./network.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export const LEASE_MS = 4_000;
const POLL_MS = 500;

export interface NodeParts {
  readonly scheduler: Scheduler;
  readonly database: ModelDatabase;
  readonly network: Network;
  readonly sagas: { readonly table: Table<SagaInstance>; readonly protocol: Protocol<SagaInstance> };
  readonly transactions: { readonly table: Table<TccInstance>; readonly protocol: Protocol<TccInstance> };
  readonly cacheSizeMax: number;
  readonly recovers: boolean;
  readonly violate: (message: string) => void;
}

/** The production engine of one kind of instance, in one process. */
export class Coordinator<I extends Instance> {
  readonly engine: Engine<I, ModelTx>;
  private readonly parts: NodeParts;
  private readonly process: Process;
  private readonly table: Table<I>;
  private pollAtMs = Number.POSITIVE_INFINITY;

  constructor(parts: NodeParts, process: Process, kind: { table: Table<I>; protocol: Protocol<I> }) {
    this.parts = parts;
    this.process = process;
    this.table = kind.table;
    const { scheduler, network, cacheSizeMax } = parts;
    const observer: EngineObserver<I> = {
      failed: (what, error) => {
        // A database that is away may be told of here; a mistake of ours may not.
        if (!(error as { retryable?: boolean }).retryable) parts.violate(`${what}: ${String(error)}`);
      },
    };
    const ports = {
      store: kind.table.storeOf(process),
      call: (_instance: I, effect: Parameters<Network["call"]>[1]) => network.call(process, effect),
      now: () => new Date(scheduler.nowMs + process.skewMs),
      observer,
    };
    this.engine = new Engine(kind.protocol, ports, { leaseMs: LEASE_MS, batchSizeMax: 20, cacheSizeMax });
  }

  /** One request under its key: instance and first events commit together, then the engine has it. */
  async accept(outcome: Outcome<I>): Promise<void> {
    const { database } = this.parts;
    const events = outcome.effects.flatMap((effect, index): BusEvent[] =>
      effect.kind === "publish"
        ? [{ eventId: `${outcome.instance.id} ${index + 1}`, aggregateId: outcome.instance.id, ...effect }]
        : [],
    );
    const isNew = await database.transaction(this.process, (tx) =>
      this.table.insert(tx, outcome.instance, events),
    );
    if (isNew) this.engine.adopt([outcome]);
  }

  /** The poller's next pass, at the latest one interval after that time. */
  wakeAt(atMs: number): void {
    if (this.pollAtMs <= atMs + POLL_MS || !this.parts.recovers) return;
    const { scheduler } = this.parts;
    const site = `poll ${this.process.name}`;
    const pollAtMs = Math.max(atMs, scheduler.nowMs) + scheduler.random.at(site).next() * POLL_MS;
    this.pollAtMs = pollAtMs;
    const poll = () => {
      if (this.pollAtMs !== pollAtMs) return;
      this.pollAtMs = Number.POSITIVE_INFINITY;
      this.engine
        .recover()
        .catch(() => undefined)
        .finally(() => this.sleep());
    };
    scheduler.post("recovery", pollAtMs - scheduler.nowMs, poll, this.process);
  }

  private sleep(): void {
    const next = this.table.nextWakeAtMs();
    if (next < Number.POSITIVE_INFINITY) this.wakeAt(Math.max(next, this.parts.scheduler.nowMs + 1));
  }
}

/** A replica of the saga service. */
export class Node {
  readonly process: Process;
  readonly sagas: Coordinator<SagaInstance>;
  readonly transactions: Coordinator<TccInstance>;
  isLeaving = false;
  private readonly parts: NodeParts;

  constructor(parts: NodeParts, process: Process) {
    this.parts = parts;
    this.process = process;
    this.sagas = new Coordinator(parts, process, parts.sagas);
    this.transactions = new Coordinator(parts, process, parts.transactions);
    this.sagas.wakeAt(0);
    this.transactions.wakeAt(0);
  }

  /** As inbox-consumer.ts does: inbox rows and effect in one transaction, then the calls that follow. */
  async consume(events: readonly BusEvent[]): Promise<void> {
    const { database } = this.parts;
    const byId = new Map(events.map((event) => [event.eventId, event]));
    await database.transaction(this.process, async (tx) => {
      const fresh = await database.record(tx, "saga", [...byId.keys()]);
      const inputs = [...byId.values()].flatMap(({ eventId, type, data }) => {
        const { sagaId } = data as { sagaId?: string };
        const input = { kind: "event" as const, eventId, type, data };
        return fresh.has(eventId) && sagaId !== undefined ? [{ id: sagaId, input }] : [];
      });
      if (inputs.length > 0) tx.hooks.push(await this.sagas.engine.receive(tx, inputs));
    });
  }

  /** SIGTERM: nothing new is taken on, what is in hand is finished. */
  async drain(): Promise<void> {
    this.isLeaving = true;
    await Promise.all([this.sagas.engine.drain(), this.transactions.engine.drain()]);
  }
}
