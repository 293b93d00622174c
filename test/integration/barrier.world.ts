import { randomUUID } from "node:crypto";
import { type Context, ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import type { Tx } from "../../lib/database.ts";
import { defineService } from "../../lib/define.ts";
import { factsOf } from "../../lib/errors.ts";
import { pinoOptions } from "../../lib/logging.ts";
import { statement } from "../../lib/statement.ts";
import { database } from "../../mixins/database.mixin.ts";
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import { type TccRequest, tccParticipant } from "../../mixins/tcc-participant.mixin.ts";
import { run, type TestServer } from "../support/service-database.ts";

export interface Request extends TccRequest {
  /** Its participant refuses it. */
  readonly fails?: boolean;
}

/** One batch of an operation; several of them may share a transaction. */
export interface Batch {
  readonly op: TccOp;
  readonly requests: readonly Request[];
}

/** What an operation was answered: where its effect is, that there was none, or the type of its error. */
export type Answer = { readonly effect: number } | { readonly empty: true } | { readonly error: string };

const EFFECT = statement(
  "test_barrier_effect",
  "insert into effects (gid, op) select gid, $2 from unnest($1::uuid[]) gid returning id, gid",
);

/** A participant whose every effect is a row. */
const participant = defineService()({
  name: "participant",
  mixins: [tccParticipant("test"), database("customer")],
  methods: {
    async effects(tx: Tx, op: TccOp, requests: readonly Request[]): Promise<(Answer | Error)[]> {
      const sound = requests.filter(({ fails }) => !fails).map(({ gid }) => gid);
      const rows = await tx.query<{ id: number; gid: string }>(EFFECT, [sound, op]);
      const ids = new Map(rows.map(({ id, gid }) => [gid, id]));
      return requests.map(({ gid }) => {
        const effect = ids.get(gid);
        return effect === undefined ? new Error("it cannot") : { effect };
      });
    },
  },
  actions: {
    operate: {
      callers: [],
      handler(ctx: Context<{ batches: readonly Batch[] }>): Promise<Answer[][]> {
        return this.transaction(async (tx) => {
          const answers: Answer[][] = [];
          for (const { op, requests } of ctx.params.batches) {
            const given = await this.participate<Request, Answer>(
              tx,
              op,
              requests,
              (toRun) => this.effects(tx, op, toRun),
              () => ({ empty: true }),
            );
            answers.push(given.map((one) => (one instanceof Error ? { error: factsOf(one).type } : one)));
          }
          return answers;
        });
      },
    },
  },
});

/** Participants in two processes on one database. */
export async function openParticipants(server: TestServer) {
  const { url } = await server.fresh("customer");
  // On a busy machine the last of many that meet at one row waits long.
  Object.assign(process.env, { CUSTOMER_DATABASE_URL: url, DATABASE_LOCK_TIMEOUT_MS: "20000" });
  await run(url, "create table effects (id serial, gid uuid, op text)");
  const errors: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void errors.push(JSON.parse(line)) };
  const options = { ...pinoOptions(loadConfig()), level: "error" };
  const brokers = [1, 2].map(() => {
    const broker = new ServiceBroker({
      logger: { type: "Pino", options: { level: "error", pino: { options, destination } } },
    });
    broker.createService(participant);
    return broker;
  });
  await Promise.all(brokers.map((broker) => broker.start()));
  let calls = 0;
  const operate = (...batches: readonly Batch[]): Promise<Answer[][]> => {
    calls += 1;
    const broker = brokers[calls % brokers.length];
    if (!broker) throw new Error("there is no participant");
    return broker.call("participant.operate", { batches });
  };
  return {
    operate,
    /** One operation alone. */
    async ask(op: TccOp, gid: string, fails = false): Promise<Answer | undefined> {
      const [answers] = await operate({ op, requests: [{ gid, fails }] });
      return answers?.[0];
    },
    newGids: (count: number) => Array.from({ length: count }, () => randomUUID()),
    /** The operations that have had their effect, in the order in which they had it. */
    async effectsOf(gid: string): Promise<{ id: number; op: TccOp }[]> {
      return run(url, "select id, op from effects where gid = $1 order by id", [gid]);
    },
    marksOf: async (gid: string) =>
      (
        await run<{ mark: string }>(
          url,
          "select op || ' by ' || origin as mark from tcc_barriers where gid = $1 order by mark",
          [gid],
        )
      ).map(({ mark }) => mark),
    /** The log lines that are errors. */
    errors,
    stop: () => Promise.all(brokers.map((broker) => broker.stop())),
  };
}
