/** A load process: the orders of a cell, apart from the bench, so that its CPU can be told from everybody else's. */
import { createRestateFlow } from "../peers/restate-flow.ts";
import { createApiFlow, type OrderPool } from "./api-flow.ts";
import { createFloorFlow } from "./floor-flow.ts";
import type { Flow } from "./flow.ts";
import { measure } from "./measure.ts";
import type { Cell, FromLoad, LoadRequest, LoadResult, Target, ToLoad } from "./protocol.ts";

interface Flows {
  of(cell: Cell): Flow;
  /** Gives back what they share. */
  close?(): Promise<void>;
}

interface Opened extends Flows {
  readonly productIds: readonly string[];
}

let opened: Opened | undefined;
let go: () => void = () => undefined;

process.on("message", (message: ToLoad) => {
  if (message.kind === "go") {
    go();
    return;
  }
  if (message.kind === "close") {
    void opened?.close?.().finally(() => process.exit(0));
    if (opened?.close === undefined) process.exit(0);
    return;
  }
  const done = message.kind === "open" ? opening(message.target) : run(message.request);
  done.then(tell, (error: unknown) => tell({ kind: "failed", message: String(error) }));
});
// The bench is gone, whatever way it went.
process.on("disconnect", () => process.exit(0));

function tell(message: FromLoad): void {
  process.send?.(message);
}

async function opening(target: Target): Promise<FromLoad> {
  opened = { productIds: target.productIds, ...(await flowsOf(target)) };
  return { kind: "opened" };
}

async function flowsOf(target: Target): Promise<Flows> {
  if (target.kind === "api") {
    const pool: OrderPool = { unpaid: [], paid: [] };
    return { of: (cell) => createApiFlow(target, cell, pool) };
  }
  if (target.kind === "floor") return { of: ({ concurrency }) => createFloorFlow(target, concurrency) };
  if (target.kind === "restate") return { of: () => createRestateFlow(target) };
  // A whole system in this process: it lives as long as the process does, and is read only when it is wanted.
  const open =
    target.kind === "dbos"
      ? (await import("../peers/dbos.ts")).openDbos(target)
      : (await import("./services-flow.ts")).openServices(target);
  const { close, ...flow } = await open;
  return { of: () => ({ ...flow, close: async () => undefined }), close };
}

async function run(request: LoadRequest): Promise<FromLoad> {
  if (opened === undefined) throw new Error("nothing was opened");
  const flow = opened.of(request.cell);
  const productIds = request.productId === undefined ? opened.productIds : [request.productId];
  try {
    const result: LoadResult = await measure(flow, productIds, request, {
      async measuring() {
        const told = Promise.withResolvers<void>();
        go = told.resolve;
        tell({ kind: "measuring" });
        if (request.isExact) await told.promise;
      },
      measured: () => tell({ kind: "measured" }),
    });
    return { kind: "result", result };
  } finally {
    await flow.close();
  }
}
