import type { Tx } from "../../../lib/database.ts";
import type { Statement } from "../../../lib/statement.ts";
import type { TccOp } from "../../../mixins/tcc-barrier.store.ts";
import { type TccRequest, tccParticipant } from "../../../mixins/tcc-participant.mixin.ts";

/** The production barrier over a modelled table tcc_barriers. A participant's transaction is one step of the schedule. */

interface BarrierRow {
  readonly gid: string;
  readonly op: TccOp;
  readonly origin: TccOp;
  reply: unknown;
}

type Values = readonly unknown[];

const parsed = (reply: unknown) => (typeof reply === "string" ? JSON.parse(reply) : null);

/** The statements of tcc-barrier.store.ts, by name. */
export class BarrierTable implements Tx {
  private readonly rows = new Map<string, BarrierRow>();

  async query<Row>(statement: Statement, values: Values = []): Promise<Row[]> {
    return this.run(statement.name, values) as Row[];
  }

  send(statement: Statement, values: Values = []): void {
    this.run(statement.name, values);
  }

  afterCommit(hook: () => void): void {
    hook();
  }

  private run(name: string, values: Values): unknown[] {
    const [gids, second, third, fourth, fifth] = values;
    const ids = gids as readonly string[];
    if (name === "tcc_enter") return this.enter(ids, third as TccOp, fourth as TccOp, fifth as Values);
    if (name === "tcc_rows") return this.rowsOf(ids);
    if (name === "tcc_enter_and_look") {
      const before = this.rowsOf(ids);
      const entered = this.enter(ids, third as TccOp, third as TccOp, fourth as Values);
      return [...entered.map(({ gid }) => ({ gid, op: null })), ...before];
    }
    if (name === "tcc_reply") {
      ids.forEach((gid, index) => {
        const row = this.rows.get(`${gid} ${third}`);
        if (row) row.reply = parsed((fourth as Values)[index]);
      });
      return [];
    }
    if (name !== "tcc_leave" || second === undefined)
      throw new TypeError(`the model has no statement ${name}`);
    for (const gid of ids) {
      for (const op of [third as TccOp, "confirm"]) {
        if (this.rows.get(`${gid} ${op}`)?.origin === third) this.rows.delete(`${gid} ${op}`);
      }
    }
    return [];
  }

  private rowsOf(gids: readonly string[]): BarrierRow[] {
    return [...this.rows.values()].filter(({ gid }) => gids.includes(gid));
  }

  private enter(gids: readonly string[], op: TccOp, origin: TccOp, replies: Values) {
    return gids.flatMap((gid, index) => {
      const key = `${gid} ${op}`;
      if (this.rows.has(key)) return [];
      this.rows.set(key, { gid, op, origin, reply: parsed(replies[index]) });
      return [{ gid }];
    });
  }
}

type Participate = <Request extends TccRequest, Result>(
  tx: Tx,
  op: TccOp,
  requests: readonly Request[],
  run: (requests: readonly Request[]) => Promise<readonly (Result | Error)[]>,
  empty: (request: Request) => Result,
) => Promise<(Result | Error)[]>;

const silent = { info() {}, warn() {}, error() {} };

export interface Branch<Request extends TccRequest> {
  readonly table: BarrierTable;
  /** One operation of one transaction. @throws what the participant, or the barrier, refuses with */
  pass<Result>(op: TccOp, request: Request, run: () => Result | Error, empty: Result): Promise<Result>;
}

/** @param isOff mutation: every operation has its effect whenever it comes */
export function createBranch<Request extends TccRequest>(name: string, isOff: boolean): Branch<Request> {
  const table = new BarrierTable();
  const methods = tccParticipant(name).methods as unknown as { participate: Participate };
  return {
    table,
    async pass(op, request, run, empty) {
      const [answer] = isOff
        ? [run()]
        : await methods.participate.call(
            { logger: silent },
            table,
            op,
            [request],
            async () => [run()],
            () => empty,
          );
      if (answer instanceof Error) throw answer;
      return answer as typeof empty;
    },
  };
}
