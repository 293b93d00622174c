import type { SpanRecord } from "./tracing.ts";

export interface SpanSenderOptions {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Writes spans as the collector takes them. */
  readonly body: (spans: readonly SpanRecord[]) => string;
  readonly intervalMs?: number;
  readonly queueMax?: number;
  /** Told when a request failed, and how many spans have been lost since it was told before. */
  readonly onError: (problem: string, lost: number) => void;
}

export interface SpanSender {
  send(span: SpanRecord): void;
  /** Sends what is there, once. */
  stop(): Promise<void>;
}

const SPANS_PER_REQUEST = 512;
const REQUEST_TIMEOUT_MS = 5_000;
const BACKOFF_MAX_MS = 30_000;

/**
 * Sends spans in the background. Tracing never stops the work that it tells of: what a collector does not take in time is
 * dropped, the oldest first, and told of.
 */
export function createSpanSender(options: SpanSenderOptions): SpanSender {
  const { url, headers, body, intervalMs = 1_000, queueMax = 20_000, onError } = options;
  let queue: SpanRecord[] = [];
  let lost = 0;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;

  const post = async (spans: readonly SpanRecord[]): Promise<void> => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: body(spans),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    await response.arrayBuffer();
    // What it refuses it would refuse again; what it cannot take now it may take later.
    if (response.status === 429 || response.status >= 500)
      throw new Error(`the collector answers ${response.status}`);
    if (response.ok) return;
    lost += spans.length;
    report(`the collector refuses spans with ${response.status}`);
  };
  const report = (problem: string) => {
    onError(problem, lost);
    lost = 0;
  };
  const sendAll = async (): Promise<void> => {
    while (queue.length > 0) {
      const spans = queue.splice(0, SPANS_PER_REQUEST);
      try {
        await post(spans);
        failures = 0;
      } catch (error) {
        failures += 1;
        queue = [...spans, ...queue];
        dropOldest();
        report(error instanceof Error ? error.message : String(error));
        return;
      }
    }
  };
  const dropOldest = () => {
    if (queue.length <= queueMax) return;
    lost += queue.splice(0, queue.length - queueMax).length;
  };
  const flush = () => {
    timer = undefined;
    sending ??= sendAll().finally(() => {
      sending = undefined;
      if (queue.length > 0) schedule();
    });
    return sending;
  };
  const schedule = () => {
    if (timer !== undefined || sending !== undefined) return;
    const delay = failures === 0 ? intervalMs : Math.min(BACKOFF_MAX_MS, intervalMs * 2 ** failures);
    timer = setTimeout(flush, delay);
    timer.unref();
  };
  return {
    send(span) {
      queue.push(span);
      dropOldest();
      schedule();
    },
    async stop() {
      clearTimeout(timer);
      await sending;
      clearTimeout(timer);
      await flush();
      clearTimeout(timer);
    },
  };
}
