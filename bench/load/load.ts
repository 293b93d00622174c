/** A load process: the loops of a cell, apart from the bench, so that its CPU can be told from everybody else's. */
import { createApiFlow } from "./api-flow.ts";
import { createFloorFlow } from "./floor-flow.ts";
import type { Basket, Flow } from "./flow.ts";
import type { FinishedOrder, FromLoad, LoadRequest, LoadResult, Target, ToLoad } from "./protocol.ts";
import { quantiles } from "./quantiles.ts";

const ERROR_PAUSE_MS = 20;
const ERROR_SAMPLES_MAX = 5;

let target: Target | undefined;

process.on("message", (message: ToLoad) => {
  if (message.kind === "open") {
    target = message.target;
    tell({ kind: "opened" });
    return;
  }
  run(message.request).then(
    (result) => tell({ kind: "result", result }),
    (error: unknown) => tell({ kind: "failed", message: String(error) }),
  );
});
// The bench is gone, whatever way it went.
process.on("disconnect", () => process.exit(0));

function tell(message: FromLoad): void {
  process.send?.(message);
}

async function run(request: LoadRequest): Promise<LoadResult> {
  if (target === undefined) throw new Error("nothing was opened");
  const flow =
    target.kind === "api"
      ? createApiFlow(target, request.cell.flow, request.cell.follow)
      : createFloorFlow(target, request.cell.concurrency);
  try {
    return await measure(flow, target.productIds, request);
  } finally {
    await flow.close();
  }
}

async function measure(flow: Flow, productIds: readonly string[], request: LoadRequest): Promise<LoadResult> {
  const { cell, warmSeconds, until } = request;
  const finished: FinishedOrder[] = [];
  const latencies: number[] = [];
  const accepts: number[] = [];
  const errorSamples = new Set<string>();
  let errors = 0;
  let phase: "warm" | "measuring" | "over" = "warm";
  const enough = Promise.withResolvers<void>();
  const ordersMax = "orders" in until ? until.orders : Number.POSITIVE_INFINITY;

  const loop = async (index: number) => {
    while (phase !== "over") {
      const basket = basketOf(cell.variant === "hot", productIds, index);
      const before = performance.now();
      try {
        const { orderId, acceptMs } = await flow.place(basket);
        finished.push([orderId, basket.first, basket.second]);
        if (phase !== "measuring") continue;
        latencies.push(performance.now() - before);
        if (acceptMs !== undefined) accepts.push(acceptMs);
        if (latencies.length >= ordersMax) enough.resolve();
      } catch (error) {
        errors += 1;
        if (errorSamples.size < ERROR_SAMPLES_MAX) errorSamples.add(String(error).slice(0, 300));
        await new Promise((resolve) => setTimeout(resolve, ERROR_PAUSE_MS));
      }
    }
  };

  await prepare(flow, productIds, request);
  const loops = Array.from({ length: cell.concurrency }, (_, index) => loop(index));
  if (warmSeconds > 0) await new Promise((resolve) => setTimeout(resolve, warmSeconds * 1_000));
  phase = "measuring";
  const from = performance.now();
  tell({ kind: "measuring" });
  if ("seconds" in until) setTimeout(() => enough.resolve(), until.seconds * 1_000);
  await enough.promise;
  phase = "over";
  const seconds = (performance.now() - from) / 1_000;
  tell({ kind: "measured" });
  await Promise.all(loops);
  return {
    seconds,
    orders: latencies.length,
    latency: quantiles(latencies),
    accept: accepts.length > 0 ? quantiles(accepts) : undefined,
    errors,
    errorSamples: [...errorSamples],
    polled: flow.polled(),
    finished,
  };
}

/** Orders to be paid: more than the fastest machine seen could pay in the time. */
const PAYABLE_PER_SECOND = { alone: 300, together: 1_600 };

/** Orders to be looked at: more than one batch of reads holds. */
const LOOKED_AT = 1_000;

async function prepare(flow: Flow, productIds: readonly string[], request: LoadRequest): Promise<void> {
  const { cell, warmSeconds, until } = request;
  if (flow.prepare === undefined || !("seconds" in until)) return;
  const rate = PAYABLE_PER_SECOND[cell.concurrency < 16 ? "alone" : "together"];
  const payable = Math.ceil(rate * (warmSeconds + until.seconds));
  let left = { create: 0, mixed: 0, pay: payable, get: LOOKED_AT }[cell.flow];
  const loop = async (index: number) => {
    while (left > 0) {
      left -= 1;
      await flow.prepare?.(basketOf(cell.variant === "hot", productIds, index));
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
