import { Agent, type IncomingHttpHeaders, request } from "node:http";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  readonly body: Record<string, unknown> | undefined;
}

export interface HttpRequest {
  readonly method?: string;
  /** A list sends the header once for each of its values. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
  /** Of a stream of events only the head is waited for; then the connection is cut. */
  readonly endless?: boolean;
  /** After this the connection is cut and the request has failed. */
  readonly timeoutMs?: number;
}

/** One request, as raw as a test needs it: fetch would join repeated headers and mend paths. */
export function http(
  url: string,
  { method = "GET", headers = {}, body, agent, endless = false, timeoutMs }: HttpRequest = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, agent: agent ?? new Agent() }, (incoming) => {
      const { statusCode: status = 0, headers: received } = incoming;
      if (endless && received["content-type"]?.startsWith("text/event-stream")) {
        incoming.destroy();
        resolve({ status, headers: received, text: "", body: undefined });
        return;
      }
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status, headers: received, text, body: parsed(text) });
      });
    });
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) outgoing.setHeader(name, value);
    }
    outgoing.on("error", reject);
    if (timeoutMs !== undefined) {
      const late = () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      outgoing.once("close", () => clearTimeout(timer));
    }
    outgoing.end(body);
  });
}

function parsed(text: string): HttpAnswer["body"] {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
