import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

/** A connection on which a test writes what it likes, and reads what comes. */
export interface RawConnection {
  readonly socket: Socket;
  send(text: string | Buffer): void;
  text(): string;
  /** Status codes of all answers so far. */
  statuses(): number[];
  /** Waits for so many answers. */
  answers(count: number): Promise<number[]>;
  closed(): Promise<void>;
}

const closesMsMax = 20_000;

export function openRaw(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = "";
  let closed = false;
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  // A connection that is cut while we write says so here; that it is closed is what counts.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = true;
  });
  const statuses = () => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return {
    socket,
    send: (given) => void socket.write(given),
    text: () => text,
    statuses,
    answers: (count) => until(`${count} answers`, () => statuses().length >= count && statuses()),
    closed: () =>
      until("the connection is closed", () => closed || undefined, { timeoutMs: closesMsMax }).then(
        () => undefined,
      ),
  };
}

/** The text of a request. */
export function requestText(line: string, headers: Readonly<Record<string, string>>, body = ""): string {
  const all = { Host: "localhost", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
