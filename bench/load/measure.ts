import { setTimeout as sleep } from "node:timers/promises";
import { arrive } from "./arrivals.ts";
import type { Basket, Flow } from "./flow.ts";
import type { FinishedOrder, LoadRequest, LoadResult } from "./protocol.ts";
import { quantiles } from "./quantiles.ts";

const ERROR_PAUSE_MS = 20;
const ERROR_SAMPLES_MAX = 5;

interface Edges {
  measuring(): Promise<void>;
  measured(): void;
}

/** Has a cell's orders arrive, and takes the times of those that end within the measured time. */
export async function measure(
  flow: Flow,
  productIds: readonly string[],
  request: LoadRequest,
  edges: Edges,
): Promise<LoadResult> {
  await prepare(flow, productIds, request);
  const run = new Run(flow, productIds, request);
  const seconds = await (request.isExact ? measureAll(run, edges) : measureAmid(run, edges));
  return run.result(seconds);
}

async function measureAll(run: Run, edges: Edges): Promise<number> {
  await edges.measuring();
  const from = run.begin();
  await arrive(run.request.cell, run);
  const seconds = (performance.now() - from) / 1_000;
  run.end();
  edges.measured();
  return seconds;
}

/** The measured time lies between a warm-up and the end of what is still in flight. */
async function measureAmid(run: Run, edges: Edges): Promise<number> {
  const { cell, warmSeconds, until } = run.request;
  const arrived = arrive(cell, run);
  if (warmSeconds > 0) await sleep(warmSeconds * 1_000);
  const from = run.begin();
  await edges.measuring();
  await ("seconds" in until ? sleep(until.seconds * 1_000) : run.enough);
  run.end();
  const seconds = (performance.now() - from) / 1_000;
  edges.measured();
  await arrived;
  return seconds;
}

class Run {
  readonly request: LoadRequest;
  readonly #flow: Flow;
  readonly #productIds: readonly string[];
  readonly #finished: FinishedOrder[] = [];
  readonly #latencies: number[] = [];
  readonly #accepts: number[] = [];
  readonly #errorSamples = new Set<string>();
  readonly #enough = Promise.withResolvers<void>();
  readonly #ordersMax: number;
  #errors = 0;
  #refused = 0;
  #begun = 0;
  #phase: "warm" | "measuring" | "over" = "warm";

  constructor(flow: Flow, productIds: readonly string[], request: LoadRequest) {
    this.#flow = flow;
    this.#productIds = productIds;
    this.request = request;
    this.#ordersMax = "orders" in request.until ? request.until.orders : Number.POSITIVE_INFINITY;
  }

  get enough(): Promise<void> {
    return this.#enough.promise;
  }

  begin(): number {
    this.#phase = "measuring";
    return performance.now();
  }

  end(): void {
    this.#phase = "over";
  }

  isOver = (): boolean =>
    this.#phase === "over" || (this.request.isExact === true && this.#begun >= this.#ordersMax);

  once = async (loop: number, dueAt: number): Promise<void> => {
    this.#begun += 1;
    const basket = basketOf(this.request.cell.variant === "hot", this.#productIds, loop);
    try {
      const { orderId, acceptMs, isRefused } = await this.#flow.place(basket);
      this.#finished.push([orderId, basket.first, basket.second]);
      if (this.#phase !== "measuring") return;
      if (isRefused) this.#refused += 1;
      this.#latencies.push(performance.now() - dueAt);
      if (acceptMs !== undefined) this.#accepts.push(acceptMs);
      if (this.#latencies.length >= this.#ordersMax) this.#enough.resolve();
    } catch (error) {
      this.#errors += 1;
      if (this.#errorSamples.size < ERROR_SAMPLES_MAX) this.#errorSamples.add(String(error).slice(0, 300));
      await sleep(ERROR_PAUSE_MS);
    }
  };

  result(seconds: number): LoadResult {
    return {
      seconds,
      orders: this.#latencies.length,
      latency: quantiles(this.#latencies),
      accept: this.#accepts.length > 0 ? quantiles(this.#accepts) : undefined,
      refused: this.#refused,
      errors: this.#errors,
      errorSamples: [...this.#errorSamples],
      polled: this.#flow.polled(),
      finished: this.#finished,
    };
  }
}

/** Orders to be paid or cancelled: more than the fastest machine seen could do in the time. */
const PREPARED_PER_SECOND = { alone: 300, together: 2_000 };

/** A slow machine sheds load now and then; a system that does not work is not asked for ever. */
const FAILURES_MAX = 200;

/** Orders to be looked at: more than one batch of reads holds. */
const LOOKED_AT = 1_000;

async function prepare(flow: Flow, productIds: readonly string[], request: LoadRequest): Promise<void> {
  const { cell, warmSeconds, until } = request;
  const { stock } = flow;
  if (stock === undefined) return;
  const rate = PREPARED_PER_SECOND[cell.concurrency < 16 ? "alone" : "together"];
  const usedUp = "orders" in until ? until.orders : Math.ceil(rate * (warmSeconds + until.seconds));
  const wanted = { create: 0, mixed: 0, flash: 0, pay: usedUp, cancel: usedUp, get: LOOKED_AT }[cell.flow];
  let left = wanted - stock.count();
  let failures = 0;
  const make = (index: number) =>
    stock.make(basketOf(cell.variant === "hot", productIds, index)).catch(async (error: unknown) => {
      failures += 1;
      if (failures > FAILURES_MAX) throw error;
      left += 1;
      await sleep(ERROR_PAUSE_MS);
    });
  const loop = async (index: number) => {
    while (left > 0) {
      left -= 1;
      await make(index);
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, index) => loop(index)));
}

function basketOf(hot: boolean, productIds: readonly string[], loop: number): Basket {
  const count = productIds.length;
  const one = hot ? 0 : Math.floor(Math.random() * count);
  const other = hot ? 1 : (one + 1 + Math.floor(Math.random() * (count - 1))) % count;
  return { loop, first: productIds[one] ?? "", second: productIds[other] ?? "" };
}
