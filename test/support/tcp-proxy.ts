import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A TCP proxy whose line can be made bad in the ways that real ones are. One change of state is for all connections
 * that there are and that come, unless it says otherwise.
 */
export type LineState =
  /** Bytes go through as they come. */
  | { readonly kind: "good" }
  /** Each piece takes this long, either way. */
  | { readonly kind: "delayed"; readonly ms: number }
  /** So many bytes a second, either way. */
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** Nothing goes through, nobody is told: what was sent meanwhile arrives when the line is good again. */
  | { readonly kind: "blackhole" }
  /** Every connection is cut, also those that are made anew. */
  | { readonly kind: "refusing" };

export interface TcpProxy {
  readonly port: number;
  /** How many connections have gone through it. */
  readonly connections: number;
  become(state: LineState): void;
  /** Cuts all connections that there are; new ones are let through. */
  reset(): void;
  /**
   * The server's side of all connections ends, the client is not told: what it sends is swallowed, and nothing ever
   * comes. New connections are let through. `mend` ends what is left of them.
   */
  halfOpen(): () => void;
  /** What servers send on connections that there are is swallowed from now on, and soon the connections are cut. */
  loseAnswers(afterMs: number): void;
  close(): Promise<void>;
}

export interface TcpProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
  /** Default: any free port. */
  readonly port?: number;
  /** Made for each connection: rewrites what comes from the server. */
  readonly rewrite?: () => (chunk: Buffer) => Buffer;
}

const queuedBytesMax = 1_000_000;

/** One direction of a connection: pieces wait in it until they are due. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #rewrite: (chunk: Buffer) => Buffer;
  readonly #state: () => LineState;
  readonly #queue: { readonly chunk: Buffer; readonly dueAt: number }[] = [];
  #queuedBytes = 0;
  #lastDueAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  swallows = false;

  constructor(from: Socket, to: Socket, state: () => LineState, rewrite = (chunk: Buffer) => chunk) {
    this.#from = from;
    this.#to = to;
    this.#state = state;
    this.#rewrite = rewrite;
    from.on("data", (chunk) => this.#take(chunk));
    from.on("end", () => {
      this.#ended = true;
      this.flush();
    });
  }

  #take(chunk: Buffer): void {
    if (this.swallows) return;
    const state = this.#state();
    const now = performance.now();
    const extraMs =
      state.kind === "delayed"
        ? state.ms
        : state.kind === "slow"
          ? (chunk.length * 1_000) / state.bytesPerSecond
          : 0;
    const begins = state.kind === "slow" ? Math.max(now, this.#lastDueAt) : now;
    this.#lastDueAt = Math.max(this.#lastDueAt, begins + extraMs);
    this.#queue.push({ chunk, dueAt: this.#lastDueAt });
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > queuedBytesMax) this.#from.pause();
    this.flush();
  }

  /** Hands on what is due. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#state().kind === "blackhole") return;
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const waitMs = first.dueAt - performance.now();
      if (waitMs > 0.5) {
        this.#timer = setTimeout(() => this.flush(), waitMs);
        return;
      }
      this.#queue.shift();
      this.#queuedBytes -= first.chunk.length;
      const bytes = this.#rewrite(first.chunk);
      if (bytes.length > 0 && !this.#to.destroyed) this.#to.write(bytes);
    }
    if (this.#from.isPaused()) this.#from.resume();
    if (this.#ended && !this.#to.destroyed) this.#to.end();
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.swallows = true;
  }
}

class Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly up: Pipe;
  readonly down: Pipe;
  #detached = false;

  constructor(client: Socket, state: () => LineState, { target, rewrite }: TcpProxyOptions) {
    this.client = client;
    this.server = connect({ ...target });
    client.setNoDelay(true);
    this.server.setNoDelay(true);
    this.up = new Pipe(client, this.server, state);
    this.down = new Pipe(this.server, client, state, rewrite?.());
    for (const [one, other] of [
      [client, this.server],
      [this.server, client],
    ] as const) {
      one.on("error", () => undefined);
      one.on("close", (hadError) => {
        if (hadError && !this.#detached && !other.destroyed) other.resetAndDestroy();
      });
    }
  }

  cut(): void {
    this.up.drop();
    this.down.drop();
    // A client that gets RST sees ECONNRESET, as after a router's or a kernel's death.
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  detach(): void {
    this.#detached = true;
    this.up.drop();
    this.down.drop();
    this.server.resetAndDestroy();
  }

  flush(): void {
    this.up.flush();
    this.down.flush();
  }
}

export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  let state: LineState = { kind: "good" };
  let count = 0;
  const open = new Set<Connection>();
  const server = createServer((client) => {
    count += 1;
    if (state.kind === "refusing") {
      client.on("error", () => undefined);
      client.resetAndDestroy();
      return;
    }
    const connection = new Connection(client, () => state, options);
    open.add(connection);
    // What was sent before one side went is still owed to the other.
    for (const side of [client, connection.server])
      side.once("close", () => {
        if (client.destroyed && connection.server.destroyed) open.delete(connection);
      });
  });
  const port = await listen(server, options.port ?? 0);
  const cutAll = (some: Iterable<Connection>) => {
    for (const connection of [...some]) connection.cut();
  };
  return {
    port,
    get connections() {
      return count;
    },
    become(next) {
      state = next;
      if (next.kind === "refusing") cutAll(open);
      else for (const connection of open) connection.flush();
    },
    reset: () => cutAll(open),
    halfOpen() {
      const left = [...open];
      for (const connection of left) connection.detach();
      return () => cutAll(left);
    },
    loseAnswers(afterMs) {
      const struck = [...open];
      for (const connection of struck) connection.down.drop();
      setTimeout(() => cutAll(struck), afterMs);
    },
    close: () => {
      cutAll(open);
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

/** More than an answer that tells addresses ever is: longer ones are messages, and left alone. */
const tellingBytesMax = 16_384;

/**
 * A Kafka broker tells its clients where to connect; behind a proxy that must be the proxy. In all versions of the
 * protocol an address is the text of the host and four bytes of port: of the same length, whatever the port.
 */
export function kafkaAddresses(from: number, to: number): () => (chunk: Buffer) => Buffer {
  const told = Buffer.concat([Buffer.from("127.0.0.1"), int32(from)]);
  return () => {
    let rest = Buffer.alloc(0);
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      let end = 0;
      while (rest.length - end >= 4 && rest.length - end - 4 >= rest.readInt32BE(end)) {
        const length = 4 + rest.readInt32BE(end);
        const frame = rest.subarray(end, end + length);
        for (
          let at = length > tellingBytesMax ? -1 : frame.indexOf(told);
          at >= 0;
          at = frame.indexOf(told, at)
        )
          int32(to).copy(frame, at + told.length - 4);
        end += length;
      }
      const whole = rest.subarray(0, end);
      rest = rest.subarray(end);
      return whole;
    };
  };
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
