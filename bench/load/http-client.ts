import { connect, type Socket } from "node:net";

export interface HttpAnswer {
  readonly status: number;
  /** Status line and header lines. */
  readonly head: string;
  readonly body: string;
}

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A kept-alive HTTP/1.1 connection with one request at a time. It understands just what the API sends. The client
 * shares the machine with what it measures, and node:http's took three times the CPU.
 */
export class HttpConnection {
  readonly #socket: Socket;
  #text = "";
  #waiting: Waiting | undefined;

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port, noDelay: true });
    // One character a byte; what we look at is ASCII.
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#receive(text));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  /** @param request head and body, ready to be sent */
  send(request: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request, "latin1");
    });
  }

  get usable(): boolean {
    return !this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#text += text;
    const headEnd = this.#text.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#text.slice(0, headEnd);
    const length = headerOf(head, "content-length");
    if (length === undefined) {
      this.#fail(new Error(`no content-length in: ${head}`));
      return;
    }
    const end = headEnd + 4 + Number(length);
    if (this.#text.length < end) return;
    const body = this.#text.slice(headEnd + 4, end);
    this.#text = this.#text.slice(end);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    // "HTTP/1.1 202 Accepted"
    waiting?.resolve({ status: Number(head.slice(9, 12)), head, body });
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#socket.destroy();
    waiting?.reject(error);
  }
}

/** The value of a header; Node writes names as they were given to it, in whatever case. */
export function headerOf(head: string, name: string): string | undefined {
  const start = head.toLowerCase().indexOf(`\r\n${name}:`);
  if (start < 0) return undefined;
  const end = head.indexOf("\r\n", start + 2);
  return head.slice(start + name.length + 3, end < 0 ? undefined : end).trim();
}
