import type { ServerResponse } from "node:http";
import type { OrderMove } from "../../lib/contracts.ts";
import { SECURITY_HEADERS } from "./answers.ts";
import { writeHead } from "./api-response.ts";
import { createRegister, type Stream } from "./stream-register.ts";

/** What a client is to be told: an order's moves from a number on. */
export interface Follow {
  readonly orderId: string;
  /** Who follows it. */
  readonly subject: string;
  /** Told first. */
  readonly moves: readonly OrderMove[];
  /** Number of the last move that the client knows, when `moves` is empty. */
  readonly after: number;
  /** There is an order to be followed: it has been drafted. Otherwise the client is to ask again soon. */
  readonly drafted: boolean;
}

export interface StreamsOptions {
  /** Moves of these orders since, in one go for many. */
  readonly read: (orders: readonly { orderId: string; after: number }[]) => Promise<readonly OrderMove[]>;
  readonly onError: (error: unknown) => void;
  readonly streamsMax: number;
  readonly streamsPerSubjectMax: number;
  readonly heartbeatMs?: number;
  readonly sweepMs?: number;
  readonly lifetimeMs?: number;
}

export interface EventStreams {
  /** Answers with a stream. @throws TooManyStreamsError, OverloadedError */
  open(follow: Follow, response: ServerResponse): void;
  /** These orders have moved. */
  moved(orderIds: readonly string[]): void;
  count(): number;
  start(): void;
  /** Ends all streams; their clients go on at another gateway. */
  stop(): void;
}

const HEARTBEAT_MS = 15_000;
/** A move that nobody told of (NATS delivers at most once) is found after this time. */
const SWEEP_MS = 30_000;
/** Then the client comes again, and has to be allowed to. */
const LIFETIME_MS = 900_000;
/** An order that has no draft yet is either drafted or cancelled by then. */
const UNDRAFTED_MS = 3_000;
/** How soon a client may come again whose stream has ended. */
const RETRY_MS = 1_000;
/** Moves that are told of at the same time are read together. */
const GATHERED_MS = 10;
const READ_MAX = 1_000;
/** A client that does not read what it is sent is given up. */
const UNREAD_BYTES_MAX = 65_536;

/** An order in one of these does not move any more. */
export const FINAL: ReadonlySet<string> = new Set(["completed", "cancelled"]);

/**
 * Streams of server-sent events (text/event-stream), one for each client that follows an order. All of a gateway share
 * one source: it is told which orders have moved, reads those of them that anybody follows, and once in a while looks
 * at all of them. A stream that nothing happens on costs its part of a heartbeat.
 */
export function createEventStreams(options: StreamsOptions): EventStreams {
  const { heartbeatMs = HEARTBEAT_MS, sweepMs = SWEEP_MS, lifetimeMs = LIFETIME_MS } = options;
  const register = createRegister(options);
  const due = new Set<string>();
  const timers: NodeJS.Timeout[] = [];
  let gathering: NodeJS.Timeout | undefined;

  const end = (stream: Stream) => {
    register.remove(stream);
    stream.response.end();
  };
  const tell = (stream: Stream, moves: readonly OrderMove[]) => {
    const fresh = moves.filter(({ version }) => version > stream.known);
    const last = fresh.at(-1);
    if (last === undefined) return;
    stream.response.write(fresh.map(frameOf).join(""));
    stream.known = last.version;
    if (FINAL.has(last.status)) end(stream);
  };
  const look = async () => {
    gathering = undefined;
    const ids = [...due].slice(0, READ_MAX);
    for (const id of ids) due.delete(id);
    const orders = ids.flatMap((orderId) => {
      const known = register.of(orderId).map((stream) => stream.known);
      return known.length > 0 ? [{ orderId, after: Math.min(...known) }] : [];
    });
    try {
      const moves = orders.length > 0 ? await options.read(orders) : [];
      for (const [orderId, ofOrder] of Map.groupBy(moves, (move) => move.orderId))
        for (const stream of register.of(orderId)) tell(stream, ofOrder);
    } catch (error) {
      // The sweep finds what was not read.
      options.onError(error);
    }
    if (due.size > 0) gather();
  };
  const gather = () => {
    gathering ??= setTimeout(() => void look(), GATHERED_MS);
  };
  const beat = () => {
    const now = performance.now();
    for (const stream of register.all()) {
      if (stream.endsAt <= now) end(stream);
      else if (stream.response.writableLength > UNREAD_BYTES_MAX) stream.response.destroy();
      else stream.response.write(":\n\n");
    }
  };
  const noteMoved = (orderIds: Iterable<string>) => {
    for (const orderId of orderIds) if (register.of(orderId).length > 0) due.add(orderId);
    if (due.size > 0) gather();
  };

  return {
    open({ orderId, subject, moves, after, drafted }, response) {
      const endsAt = performance.now() + (drafted ? lifetimeMs : UNDRAFTED_MS);
      const stream = { orderId, subject, response, endsAt, known: after };
      register.add(stream);
      response.once("close", () => register.remove(stream));
      writeHead(response, 200, STREAM_HEADERS);
      response.write(`retry: ${RETRY_MS}\n\n`);
      tell(stream, moves);
      if (!drafted) setTimeout(end, UNDRAFTED_MS, stream).unref();
      // It may have moved between the look that was answered here and now.
      noteMoved([orderId]);
    },
    moved(orderIds) {
      if (register.count() > 0) noteMoved(orderIds);
    },
    count: register.count,
    start() {
      const sweep = () => noteMoved(register.orders());
      timers.push(setInterval(beat, heartbeatMs).unref(), setInterval(sweep, sweepMs).unref());
    },
    stop() {
      for (const timer of timers) clearInterval(timer);
      clearTimeout(gathering);
      for (const stream of register.all()) end(stream);
    },
  };
}

const STREAM_HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // Proxies that gather answers would keep it to themselves until it ends.
  "x-accel-buffering": "no",
  ...SECURITY_HEADERS,
};

/** One event; its id is what a client that comes again has seen last. */
function frameOf({ version, orderId, status, at, reason }: OrderMove): string {
  const data = JSON.stringify({ orderId, status, at, ...(reason && { reason }) });
  return `id: ${version}\nevent: status\ndata: ${data}\n\n`;
}
