import { type Collector, missingForCollector, startCollector } from "./collector.ts";

/**
 * The collector that the system of this group sends its spans to: undefined, said aloud, where the machine lacks it; in CI
 * that is a failure. It starts beside the system.
 */
export function useCollector(): () => Collector | undefined {
  const missing = missingForCollector();
  if (missing !== undefined && process.env.CI) throw new Error(`traces: need ${missing}`);
  if (missing !== undefined) console.warn(`SKIPPED: traces: need ${missing}`);
  let collector: Collector | undefined;
  beforeAll(async () => {
    if (missing === undefined) collector = await startCollector();
  });
  afterAll(async () => collector?.stop(), 60_000);
  return () => collector;
}
