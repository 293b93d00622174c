export interface UntilOptions {
  readonly timeoutMs?: number;
  /** Between two checks: longer where a check is a load of its own. */
  readonly intervalMs?: number;
}

/**
 * Waits for a condition instead of for a time: asks until the answer is neither undefined nor false, and gives it
 * back. A check that throws counts as "not yet"; its error is the cause when the time is over.
 */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions = {},
): Promise<T> {
  const { timeoutMs = 20_000, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await check();
      if (answer !== undefined && answer !== false) return answer;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause });
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
