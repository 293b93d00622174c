import { randomUUID } from "node:crypto";
import { connect, type NatsConnection } from "nats";
import type { PacketSeal } from "../../lib/packet-seal.ts";

/** What a service answered to a request on NATS. */
export interface Heard {
  readonly success: boolean;
  readonly data?: Record<string, unknown>;
  readonly error?: { readonly type?: string };
}

/** Somebody on NATS who speaks Moleculer's protocol by hand, with a seal or without. */
export interface Stranger {
  /** Sends a request to the node of the action's service, as if that service made it. */
  say(action: string, params: object, options?: Saying): string;
  /** Sends it, and waits for the answer, which `seal` opens. */
  ask(action: string, params: object, options: Saying & { readonly seal: PacketSeal }): Promise<Heard>;
  /** Whether anything came back for that request. */
  hasHeard(id: string): boolean;
  leave(): Promise<void>;
}

export interface Saying {
  readonly seal?: PacketSeal;
  /** Who it says it is. */
  readonly caller?: string;
  /** Whom it is sent to, where that is not the action's service. */
  readonly node?: string;
}

const SENDER = "stranger";

export async function meetStranger(natsUrl: string, opening: PacketSeal): Promise<Stranger> {
  const nats: NatsConnection = await connect({ servers: natsUrl });
  const heard = new Map<string, Heard>();
  const waiting = new Map<string, (answer: Heard) => void>();
  nats.subscribe(`MOL-oms.RES.${SENDER}`, {
    callback: (_error, { data }) => {
      const opened = opening.open("RES", Buffer.from(data));
      const { id, ...answer } = JSON.parse(String(typeof opened === "string" ? Buffer.from(data) : opened));
      heard.set(id, answer);
      waiting.get(id)?.(answer);
    },
  });
  const say: Stranger["say"] = (
    action,
    params,
    { seal, caller = "saga", node = action.split(".")[0] } = {},
  ) => {
    const id = randomUUID();
    const of = { level: 1, tracing: false, requestID: id, timeout: 5_000, meta: {}, headers: {} };
    const packet = Buffer.from(
      JSON.stringify({ ver: "5", sender: SENDER, id, action, params, caller, ...of }),
    );
    nats.publish(`MOL-oms.REQ.${node}`, seal?.seal("REQ", packet) ?? packet);
    return id;
  };
  return {
    say,
    hasHeard: (id) => heard.has(id),
    ask(action, params, options) {
      return new Promise((resolve, reject) => {
        const id = say(action, params, options);
        const timer = setTimeout(() => reject(new Error(`${action} was not answered`)), 20_000);
        waiting.set(id, (answer) => {
          clearTimeout(timer);
          resolve(answer);
        });
      });
    },
    async leave() {
      // What was said last is still on its way out.
      await nats.flush();
      await nats.close();
    },
  };
}
