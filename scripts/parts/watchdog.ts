/**
 * Started by guard.ts in a session of its own. Standard input is a pipe to the process that owns the parts: when that
 * process ends, even by kill -9, the kernel closes the pipe, and we stop what it left behind. Uses Node's own modules
 * only, so that it is up (and holds little memory) within some tens of milliseconds.
 */
import { createInterface } from "node:readline";
import type { WatchdogOrder } from "./guard.ts";
import { runs, sendSignal, waitFor } from "./process.ts";

const watched = new Map<number, Extract<WatchdogOrder, { order: "watch" }>>();

// A Ctrl+C or a broad kill aimed at the owner must not end us before the owner is gone.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const order: WatchdogOrder = JSON.parse(line);
  if (order.order === "watch") watched.set(order.pid, order);
  else watched.delete(order.pid);
});
lines.on("close", () => {
  void Promise.all([...watched.values()].map(stop)).finally(() => process.exit(0));
});

async function stop(part: Extract<WatchdogOrder, { order: "watch" }>): Promise<void> {
  for (const step of part.steps) {
    if (!runs(part.pid, part.marker)) return;
    sendSignal(part.pid, step.signal);
    if (await waitFor(() => !runs(part.pid, part.marker), step.waitMs, 10)) return;
  }
}
