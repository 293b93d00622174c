import type { SagaDefinition } from "../../engine/define.ts";
import { createSagaProtocol, type SagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import { createTccProtocol, type TccProtocol } from "../../engine/tcc.ts";
import type { TccDefinition } from "../../engine/tcc-define.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { cancelOrderSaga } from "../../services/saga/cancel-order.saga.ts";
import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import { Invariants, type Observed } from "./invariants.ts";
import { type BusEvent, Group, Topic } from "./model-bus.ts";
import { ModelDatabase } from "./model-database.ts";
import { SAGA_RULES, Table, TCC_RULES } from "./model-store.ts";
import {
  type Mutation,
  takingAnyReply,
  withoutDeadline,
  withoutPivot,
  withSwappedCompensations,
} from "./mutations.ts";
import { Network } from "./network.ts";
import { LEASE_MS, Node, type NodeParts } from "./node.ts";
import { Orders } from "./participants/order.ts";
import { Payments } from "./participants/payment.ts";
import { Products } from "./participants/product.ts";
import { ModelProvider } from "./participants/provider.ts";
import { type Process, type Scheduler, Violation } from "./scheduler.ts";
import type { Simulated } from "./simulated.ts";

export interface Scene {
  readonly nodes: number;
  readonly stock: ReadonlyMap<string, number>;
  readonly ttlMs: number;
  readonly deadlineMs: number;
  readonly cacheSizeMax: number;
  readonly inactive: ReadonlySet<string>;
}

const STOCK_REPLY_TIMEOUT_MS = 30_000;
const HOLD_MARGIN_MS = 60_000;
const SHUTDOWN_TIMEOUT_MS = 20_000;

/** Everything there is in one schedule: nodes of the saga service over one database, participants, bus, provider. */
export class World implements Simulated {
  readonly scheduler: Scheduler;
  readonly database: ModelDatabase;
  readonly nodes: Node[] = [];
  readonly sagas: Table<SagaInstance>;
  readonly transactions: Table<TccInstance>;
  readonly protocol: SagaProtocol;
  readonly tccProtocol: TccProtocol;
  readonly orders: Orders;
  readonly invariants: Invariants;
  private readonly payments: Payments;
  private readonly topics: readonly Topic[];
  private readonly parts: NodeParts;
  private readonly broken: string[] = [];
  private open = 0;
  private clients: Pick<Simulated, "areDone"> = { areDone: true };

  constructor(scheduler: Scheduler, scene: Scene, mutation: Mutation | undefined) {
    this.scheduler = scheduler;
    this.database = new ModelDatabase(scheduler);
    const commands = new Topic("commands", scheduler);
    const stock = new Topic("stock", scheduler);
    const money = new Topic("money", scheduler);
    this.topics = [commands, stock, money];
    const observed = this.createParticipants(scene, mutation, stock, money);
    this.orders = observed.orders;
    this.payments = observed.payments;
    this.invariants = new Invariants(observed, (message) => this.broken.push(message));
    const { protocol, tccProtocol } = createProtocols(scene, mutation);
    this.protocol = protocol;
    this.tccProtocol = tccProtocol;
    const onEvents = (events: readonly BusEvent[]) => commands.append(events);
    this.sagas = new Table(this.database, SAGA_RULES, {
      onChange: (before, after) => {
        this.invariants.onSaga(before, after);
        this.count(!before, protocol.hasEnded(after) && !(before && protocol.hasEnded(before)));
      },
      onEvents,
      onWakeAt: (atMs) => {
        for (const node of this.nodes) node.sagas.wakeAt(atMs);
      },
    });
    this.transactions = new Table(this.database, TCC_RULES, {
      onChange: (before, after) => {
        this.invariants.onTransaction(before, after);
        this.count(!before, tccProtocol.hasEnded(after) && !(before && tccProtocol.hasEnded(before)));
      },
      onEvents,
      onWakeAt: (atMs) => {
        for (const node of this.nodes) node.transactions.wakeAt(atMs);
      },
    });
    this.sagas.ignoresVersion = mutation === "versions ignored";
    this.transactions.ignoresVersion = mutation === "versions ignored";
    this.parts = {
      scheduler,
      database: this.database,
      network: new Network(scheduler, { ...observed, inactive: scene.inactive }),
      sagas: { table: this.sagas, protocol },
      transactions: { table: this.transactions, protocol: tccProtocol },
      cacheSizeMax: scene.cacheSizeMax,
      recovers: mutation !== "nobody wakes",
      violate: (message) => this.broken.push(message),
    };
    this.subscribe(observed, commands, stock, money);
    for (let index = 0; index < scene.nodes; index += 1) this.start(index);
  }

  /** Who asks for things here. */
  serve(clients: Pick<Simulated, "areDone">): void {
    this.clients = clients;
  }

  get areDone(): boolean {
    return this.clients.areDone;
  }

  isAtRest(): boolean {
    const { network } = this.parts;
    const isDone = this.open === 0 && network.isQuiet && !this.payments.hasWork();
    return isDone && this.topics.every(({ isDrained }) => isDrained);
  }

  atRest(): void {
    this.invariants.atRest();
  }

  check(): void {
    this.invariants.check();
    const [message] = this.broken;
    if (message !== undefined) throw new Violation(message);
  }

  /** A node that runs, drawn; undefined when none does. */
  anyNode(site: string): Node | undefined {
    const running = this.nodes.filter(({ process, isLeaving }) => process.alive && !isLeaving);
    return running[this.scheduler.random.at(site).between(0, running.length - 1)];
  }

  unended(): string[] {
    const { protocol, tccProtocol } = this;
    const sagas = [...this.sagas.rows.values()].filter(({ instance }) => !protocol.hasEnded(instance));
    const transactions = [...this.transactions.rows.values()].filter(
      ({ instance }) => !tccProtocol.hasEnded(instance),
    );
    return [
      ...sagas.map(({ instance }) => `${instance.id} is ${instance.state} at ${instance.step}`),
      ...transactions.map(({ instance }) => `${instance.id} is ${instance.state}`),
    ];
  }

  private count(isNew: boolean, hasEnded: boolean): void {
    this.open += (isNew ? 1 : 0) - (hasEnded ? 1 : 0);
  }

  /** Starts the node anew, without any memory, whenever it dies. */
  private start(index: number): void {
    const { random } = this.scheduler;
    const name = `node ${index + 1}`;
    const process: Process = {
      name,
      alive: true,
      pausedUntilMs: 0,
      skewMs: random.at("clocks").between(-600_000, 600_000),
      onCrash: () => {
        this.database.lose(process);
        const downMs = random.at("restarts").between(20, 4_000);
        this.scheduler.post(`${name} starts`, downMs, () => this.start(index));
      },
    };
    const node = new Node(this.parts, process);
    this.nodes[index] = node;
    if (!random.at("rolling restarts").chance(0.15)) return;
    const end = () => {
      if (process.alive) this.scheduler.crash(process);
    };
    const leave = () => node.drain().then(end);
    const atMs = random.at("rolling restarts").between(50, 3_000);
    this.scheduler.post(`${name} gets SIGTERM`, atMs, leave, process);
    this.scheduler.post(`${name} gets SIGKILL`, atMs + SHUTDOWN_TIMEOUT_MS, end);
  }

  private subscribe(
    { orders, products, payments }: Observed,
    commands: Topic,
    stock: Topic,
    money: Topic,
  ): void {
    const { scheduler } = this;
    const alone = (receive: (events: readonly BusEvent[]) => Promise<void>) => ({
      member: () => undefined,
      handle: receive,
    });
    const saga = {
      member: () => this.anyNode("members")?.process ?? ("nobody" as const),
      handle: async (events: readonly BusEvent[], member: Process | undefined) => {
        const node = this.nodes.find(({ process }) => process === member);
        await node?.consume(events).catch((error: { retryable?: boolean }) => {
          if (!error.retryable) this.broken.push(`a batch of events ends as dead letters: ${String(error)}`);
          throw error;
        });
      },
    };
    new Group(
      "product group",
      commands,
      scheduler,
      alone((events) => products.receive(events)),
    );
    new Group(
      "payment group",
      commands,
      scheduler,
      alone((events) => payments.receive(events)),
    );
    new Group(
      "order group",
      stock,
      scheduler,
      alone((events) => orders.receive(events)),
    );
    new Group("saga group of stock", stock, scheduler, saga);
    new Group("saga group of money", money, scheduler, saga);
  }

  private createParticipants(
    scene: Scene,
    mutation: Mutation | undefined,
    stock: Topic,
    money: Topic,
  ): Observed {
    const { scheduler } = this;
    const barrierIsOff = mutation === "barrier off";
    const provider = new ModelProvider();
    const replicas = [0, 1].map((index) => this.createReplica(`payment ${index + 1}`));
    return {
      provider,
      orders: new Orders(
        {
          onMove: (order) => this.invariants.onMove(order),
          onTcc: (op, gid) => this.invariants.onTcc("order", op, gid),
        },
        barrierIsOff,
        mutation === "refusals forgotten",
      ),
      products: new Products(scheduler, {
        stock: scene.stock,
        ttlMs: scene.ttlMs,
        barrierIsOff,
        releasesHeld: mutation === "held stock released",
        tell: (events) => stock.append(events),
        onTcc: (op, gid) => this.invariants.onTcc("product", op, gid),
      }),
      payments: new Payments(scheduler, {
        provider,
        replica: () => (replicas[scheduler.random.at("replicas").between(0, 1)] as () => Process)(),
        holdMs: scene.deadlineMs + HOLD_MARGIN_MS,
        barrierIsOff,
        guesses: mutation === "provider guessed",
        tell: (events) => money.append(events),
        onTcc: (op, gid) => this.invariants.onTcc("payment", op, gid),
      }),
    };
  }

  /** A participant's process: it comes back at once, what it had in hand does not. */
  private createReplica(name: string): () => Process {
    let process: Process;
    const start = () => {
      process = { name, alive: true, pausedUntilMs: 0, skewMs: 0, onCrash: start };
    };
    start();
    return () => process;
  }
}

function createProtocols(scene: Scene, mutation: Mutation | undefined) {
  const create: SagaDefinition = createOrderSaga(STOCK_REPLY_TIMEOUT_MS);
  const pay: TccDefinition = { ...payOrderTcc, deadlineMs: scene.deadlineMs };
  const sagas = [
    mutation === "compensations swapped" ? withSwappedCompensations(create) : create,
    cancelOrderSaga,
  ];
  const protocol = createSagaProtocol(sagas, LEASE_MS);
  const tccProtocol = createTccProtocol([mutation === "pivot not first" ? withoutPivot(pay) : pay], {
    leaseMs: LEASE_MS,
    callTimeoutMs: 5_000,
    tryAttemptsMax: 3,
  });
  if (mutation === "late replies taken") {
    return {
      protocol: { ...protocol, advance: takingAnyReply(protocol) },
      tccProtocol: { ...tccProtocol, advance: takingAnyReply(tccProtocol) },
    };
  }
  return {
    protocol,
    tccProtocol: mutation === "deadline ignored" ? withoutDeadline(tccProtocol) : tccProtocol,
  };
}
