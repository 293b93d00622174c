import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { until } from "./until.ts";

export interface StreamedEvent {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** A client of server-sent events, as plain as a test needs it. */
export interface EventStream {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** All that has come, comments too. */
  text(): string;
  events(): readonly StreamedEvent[];
  ended(): boolean;
  /** The statuses that have come, once there are so many. */
  statuses(count: number): Promise<string[]>;
  close(): void;
}

export function openStream(url: string, headers: Record<string, string>): Promise<EventStream> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { headers, agent: new Agent() }, (incoming) => {
      let text = "";
      let ended = false;
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        text += chunk;
      });
      const end = () => {
        ended = true;
      };
      incoming.on("end", end);
      incoming.on("close", end);
      incoming.on("error", end);
      const events = () => eventsOf(text);
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        text: () => text,
        events,
        ended: () => ended,
        statuses: (count) =>
          until(`${count} events have come`, () => {
            const found = events().map(({ data }) => String(data.status));
            return found.length >= count && found;
          }),
        close: () => outgoing.destroy(),
      });
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

function eventsOf(text: string): StreamedEvent[] {
  return text.split("\n\n").flatMap((frame) => {
    const fields = new Map(
      frame.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
    );
    const data = fields.get("data");
    return data === undefined
      ? []
      : [{ id: fields.get("id") ?? "", event: fields.get("event") ?? "", data: JSON.parse(data) }];
  });
}
