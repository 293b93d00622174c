import { DeadlinePassedError, hasPassed } from "./deadline.ts";
import { factsOf, OverloadedError } from "./errors.ts";
import { asWork } from "./fault-points.ts";
import { type BatchItem, currentScope, inBatch, tracing } from "./tracing/tracing.ts";

export interface BatcherOptions<Item, Result> {
  readonly name: string;
  /** Does the work of all items at once; answers in the same order. An Error as an answer rejects that item alone. */
  readonly run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>;
  readonly sizeMax?: number;
  /** Batches in flight at once. Two keep the database busy while the next one gathers. */
  readonly concurrency?: number;
  readonly queueMax?: number;
}

interface Batching {
  /** Items that wait for a batch. */
  readonly waiting: () => number;
  readonly sizes: { batches: number; items: number };
}

export interface Batcher<Item, Result> extends Batching {
  /** An item whose deadline passes before its batch begins is given back. @throws DeadlinePassedError */
  (item: Item, deadline?: number): Promise<Result>;
}

const byName = new Map<string, Batching>();

/** The batchers of this process by name, for its metrics; of several with one name the newest. */
export const batchers = (): ReadonlyMap<string, Batching> => byName;

interface Waiting<Item, Result> extends BatchItem {
  readonly item: Item;
  readonly deadline: number | undefined;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Joins calls that arrive at the same time into one run. Batches form from what arrives while earlier ones
 * are in flight, so a lone call waits for nothing but the end of the current tick. A batch that fails is run
 * again item by item, so that one bad item harms only itself; a failure that repeating would only meet
 * again (database away, outcome unknown) goes to every item as it is.
 * @throws OverloadedError when `queueMax` items wait already
 */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { run, sizeMax = 256, concurrency = 2, queueMax = 10_000 } = options;
  const queue: Waiting<Item, Result>[] = [];
  const sizes = { batches: 0, items: 0 };
  let running = 0;
  let scheduled = false;

  const pump = () => {
    scheduled = false;
    while (running < concurrency && queue.length > 0) {
      const batch = stillAwaited(options.name, queue.splice(0, sizeMax));
      if (batch.length === 0) continue;
      running += 1;
      sizes.batches += 1;
      sizes.items += batch.length;
      const work = () => asWork(options.name, () => runBatch(run, batch));
      void (tracing.on ? inBatch({ name: options.name }, batch, work) : work()).finally(() => {
        running -= 1;
        if (queue.length > 0) schedule();
      });
    }
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(pump);
  };
  const enqueue = (item: Item, deadline?: number) =>
    new Promise<Result>((resolve, reject) => {
      if (queue.length >= queueMax) {
        reject(new OverloadedError(options.name));
        return;
      }
      queue.push({ item, deadline, resolve, reject, scope: currentScope() });
      if (running < concurrency) schedule();
    });
  const batcher = Object.assign(enqueue, { waiting: () => queue.length, sizes });
  byName.set(options.name, batcher);
  return batcher;
}

function stillAwaited<Item, Result>(
  name: string,
  taken: readonly Waiting<Item, Result>[],
): readonly Waiting<Item, Result>[] {
  const now = Date.now();
  const isLate = ({ deadline }: Waiting<Item, Result>) => hasPassed(deadline, now);
  if (!taken.some(isLate)) return taken;
  for (const waiting of taken.filter(isLate)) waiting.reject(new DeadlinePassedError(name));
  return taken.filter((waiting) => !isLate(waiting));
}

async function runBatch<Item, Result>(
  run: BatcherOptions<Item, Result>["run"],
  batch: readonly Waiting<Item, Result>[],
): Promise<void> {
  try {
    const results = await run(batch.map((waiting) => waiting.item));
    if (results.length !== batch.length) {
      throw new Error(`a batch of ${batch.length} answered ${results.length} results`);
    }
    batch.forEach((waiting, index) => {
      const result = results[index] as Result | Error;
      if (result instanceof Error) waiting.reject(result);
      else waiting.resolve(result);
    });
  } catch (error) {
    if (batch.length === 1 || factsOf(error).status === 503) {
      for (const waiting of batch) waiting.reject(error);
      return;
    }
    for (const waiting of batch) await runBatch(run, [waiting]);
  }
}
