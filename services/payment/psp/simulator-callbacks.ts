import type { Database, Tx } from "../../../lib/database.ts";
import { createPoller, type Poller } from "../../../lib/poller.ts";
import { statement } from "../../../lib/statement.ts";
import { sign } from "./signature.ts";

/** The simulated provider's callbacks: durable, signed, repeated until they are acknowledged. */

export const SIGNATURE_HEADER = "x-psp-signature";

/** Delivers one webhook; resolves when it was acknowledged. */
export type Deliver = (body: string, headers: Readonly<Record<string, string>>) => Promise<void>;

const INSERT = statement(
  "psp_insert_callbacks",
  `insert into psp_simulator.callbacks (id, body, due_at)
   select id, body, now() + $3 * interval '1 millisecond' from unnest($1::uuid[], $2::text[]) as t(id, body)
   on conflict do nothing`,
);

export function insertCallbacks(
  tx: Tx,
  callbacks: readonly { readonly id: string; readonly body: string }[],
  delayMs: number,
): void {
  if (callbacks.length === 0) return;
  tx.send(INSERT, [callbacks.map(({ id }) => id), callbacks.map(({ body }) => body), delayMs]);
}

const CLAIM = statement(
  "psp_claim_callbacks",
  `update psp_simulator.callbacks set tries = tries + 1, due_at = now() + least(60, 2 ^ tries) * interval '1 second'
   where id = any(array(select id from psp_simulator.callbacks where delivered_at is null and due_at <= now()
                        order by due_at limit 100 for update skip locked))
   returning id, body`,
);
const DELIVERED = statement(
  "psp_delivered",
  "update psp_simulator.callbacks set delivered_at = now() where id = any($1)",
);

const POLL_MS = 200;

export interface CallbackOptions {
  readonly database: Database;
  readonly secret: () => Promise<string>;
  readonly deliver: Deliver;
  readonly onError: (error: unknown) => void;
}

export function createCallbacks({ database, secret, deliver, onError }: CallbackOptions): Poller {
  return createPoller({
    name: "simulated callbacks",
    intervalMs: POLL_MS,
    onError,
    run: async () => {
      const due = await database.query<{ id: string; body: string }>(CLAIM);
      if (due.length === 0) return false;
      const key = await secret();
      const done: string[] = [];
      const send = async ({ id, body }: { id: string; body: string }) => {
        const signature = sign(body, key, Math.floor(Date.now() / 1_000));
        await deliver(body, { [SIGNATURE_HEADER]: signature });
        done.push(id);
      };
      await Promise.all(due.map((one) => send(one).catch(onError)));
      if (done.length > 0) await database.query(DELIVERED, [done]);
      return false;
    },
  });
}
