/** A load process: the orders of a cell, apart from the bench, so that its CPU can be told from everybody else's. */
import { createApiFlow } from "./api-flow.ts";
import { createFloorFlow } from "./floor-flow.ts";
import type { Flow } from "./flow.ts";
import { measure } from "./measure.ts";
import type { FromLoad, LoadRequest, LoadResult, Target, ToLoad } from "./protocol.ts";

let target: Target | undefined;
let go: () => void = () => undefined;

process.on("message", (message: ToLoad) => {
  if (message.kind === "open") {
    target = message.target;
    tell({ kind: "opened" });
  } else if (message.kind === "go") {
    go();
  } else {
    run(message.request).then(
      (result) => tell({ kind: "result", result }),
      (error: unknown) => tell({ kind: "failed", message: String(error) }),
    );
  }
});
// The bench is gone, whatever way it went.
process.on("disconnect", () => process.exit(0));

function tell(message: FromLoad): void {
  process.send?.(message);
}

async function run(request: LoadRequest): Promise<LoadResult> {
  if (target === undefined) throw new Error("nothing was opened");
  const { flow: kind, concurrency, follow } = request.cell;
  const flow: Flow =
    target.kind === "api" ? createApiFlow(target, kind, follow) : createFloorFlow(target, concurrency);
  try {
    return await measure(flow, target.productIds, request, {
      async measuring() {
        const told = Promise.withResolvers<void>();
        go = told.resolve;
        tell({ kind: "measuring" });
        if (request.isExact) await told.promise;
      },
      measured: () => tell({ kind: "measured" }),
    });
  } finally {
    await flow.close();
  }
}
