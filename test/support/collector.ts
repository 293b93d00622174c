import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OwnPart } from "../../scripts/parts/part.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { findOnPath } from "../../scripts/parts/process.ts";
import { startZipkin } from "../../scripts/parts/zipkin.ts";
import { stackDir } from "./system.ts";
import { until } from "./until.ts";

/** A span as Zipkin gives it back. It writes names in lower case. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly name: string;
  readonly kind?: string;
  readonly timestamp: number;
  readonly duration: number;
  readonly localEndpoint: { readonly serviceName: string };
  readonly tags: Readonly<Record<string, string>>;
}

/** A Zipkin that comes up beside the system that sends to it. */
export interface Collector {
  /** Settings of a system that traces what its callers sample, and nothing else. */
  readonly env: NodeJS.ProcessEnv;
  /** The spans of a trace, once all of these are there and all hang together: each process sends its own, every second. */
  trace(traceId: string, names: readonly string[]): Promise<CollectedSpan[]>;
  stop(): Promise<void>;
}

/** What this machine lacks for it; undefined when it has all. */
export function missingForCollector(): string | undefined {
  if (findOnPath("java") === undefined && !process.env.JAVA_HOME) return "Java (java not found on PATH)";
  const isThere = existsSync(join(stackDir, "zipkin")) || findOnPath("mvn") !== undefined;
  return isThere ? undefined : "Maven (mvn not found on PATH)";
}

export async function startCollector(): Promise<Collector> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-zipkin-"));
  const starting: Promise<OwnPart> = startZipkin({ stackDir, dataDir, port });
  // Whoever asks for a trace meets it.
  starting.catch(() => undefined);
  return {
    env: {
      TRACE_EXPORTER: "zipkin",
      TRACE_URL: `${url}/api/v2/spans`,
      TRACE_RATIO: "0",
      TRACE_PARENTS: "all",
    },
    async trace(traceId, names) {
      await starting;
      let missing = names;
      let tops: string[] = [];
      return until(
        `trace ${traceId} is whole`,
        async () => {
          const answer = await fetch(`${url}/api/v2/trace/${traceId}`);
          const spans = (answer.ok ? await answer.json() : []) as CollectedSpan[];
          missing = names.filter((name) => !spans.some((span) => span.name === name));
          tops = topsOf(spans).map(({ name }) => name);
          return missing.length === 0 && tops.length === 1 && spans;
        },
        { timeoutMs: 60_000 },
      ).catch((cause: unknown) => {
        const problem = `lacks [${missing.join(", ")}], and has its tops at [${tops.join(", ")}]`;
        throw new Error(`trace ${traceId} ${problem}`, { cause });
      });
    },
    async stop() {
      const zipkin = await starting.catch(() => undefined);
      await zipkin?.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The spans whose parents are not in the trace. */
export function topsOf(spans: readonly CollectedSpan[]): CollectedSpan[] {
  const ids = new Set(spans.map(({ id }) => id));
  return spans.filter(({ parentId }) => parentId === undefined || !ids.has(parentId));
}

/** The names from the top of its trace to this span. */
export function pathTo(spans: readonly CollectedSpan[], span: CollectedSpan | undefined): string[] {
  if (span === undefined) return [];
  return [
    ...pathTo(
      spans,
      spans.find(({ id }) => id === span.parentId),
    ),
    span.name,
  ];
}

/** The trace for people: when each span began and how long it took, in milliseconds; where it ran; of how many it was one. */
export function treeOf(spans: readonly CollectedSpan[]): string {
  const startUs = Math.min(...spans.map(({ timestamp }) => timestamp));
  const inOrder = spans.toSorted((a, b) => a.timestamp - b.timestamp);
  const milliseconds = (us: number) => (us / 1_000).toFixed(1).padStart(8);
  const below = (parentId: string | undefined, depth: number): string[] =>
    inOrder
      .filter((span) => span.parentId === parentId)
      .flatMap((span) => {
        const { name, localEndpoint, tags, timestamp, duration } = span;
        const shared = tags["batch.size"] === undefined ? "" : ` 1 of ${tags["batch.size"]}`;
        const line = `${milliseconds(timestamp - startUs)} ${milliseconds(duration)}  ${"  ".repeat(depth)}${name} [${localEndpoint.serviceName}]${shared}`;
        return [tags.error === undefined ? line : `${line} ! ${tags.error}`, ...below(span.id, depth + 1)];
      });
  const [top] = topsOf(inOrder);
  return [` start ms  took ms`, ...below(top?.parentId, 0)].join("\n");
}
