import type { Tx } from "../lib/database.ts";
import { defineMixin } from "../lib/define.ts";
import { log } from "../lib/logging.ts";
import { leaveBarrier, passBarrier, storeReplies, type TccOp } from "./tcc-barrier.store.ts";

export interface TccRequest {
  /** The global transaction. */
  readonly gid: string;
}

/**
 * TCC participation: `this.participate(tx, op, requests, run)` lets each operation of a global transaction
 * have its effect once, answers repetitions with the first reply, acknowledges a cancel that has nothing to
 * cancel and refuses the try that comes after it. Needs the database mixin.
 */
export const tccParticipant = (branch: string) =>
  defineMixin()({
    methods: {
      /**
       * Batch form, inside the caller's transaction. `run` gets the requests that are to have their effect and
       * answers each with a reply or an Error; a request that ends in an Error leaves no mark, so the same
       * operation may come again. Answers in the order asked; `empty` is what an empty cancel is answered,
       * `expected` what one that runs will most likely be: written with the barrier's row, it saves an update.
       */
      async participate<Request extends TccRequest, Result>(
        tx: Tx,
        op: TccOp,
        requests: readonly Request[],
        run: (requests: readonly Request[]) => Promise<readonly (Result | Error)[]>,
        empty: (request: Request) => Result,
        expected?: (request: Request) => Result,
      ): Promise<(Result | Error)[]> {
        const first = new Map<string, Request>();
        for (const request of requests) if (!first.has(request.gid)) first.set(request.gid, request);
        const gids = [...first.keys()].sort();
        const replies = expected && gids.map((gid) => JSON.stringify(expected(first.get(gid) as Request)));
        const verdicts = await passBarrier(tx, branch, op, gids, replies);
        const toRun = [...first.values()].filter(({ gid }) => verdicts.get(gid)?.kind === "run");
        const results = toRun.length > 0 ? await run(toRun) : [];
        const answers = new Map<string, Result | Error>(
          toRun.map(({ gid }, index) => [gid, results[index] as Result | Error]),
        );
        for (const [gid, request] of first) {
          const verdict = verdicts.get(gid);
          if (verdict?.kind === "repeated") answers.set(gid, verdict.reply as Result);
          if (verdict?.kind === "empty") answers.set(gid, empty(request));
          if (verdict?.kind === "refused") answers.set(gid, verdict.error);
          if (verdict?.kind === "refused" && op === "confirm") {
            log(this.logger, { sagaId: gid }).error("a decided confirm was refused", {
              gid,
              branch,
              code: verdict.error.type,
            });
          }
        }
        const entered = [...first.keys()].filter((gid) =>
          ["run", "empty"].includes(verdicts.get(gid)?.kind ?? ""),
        );
        const failed = entered.filter((gid) => answers.get(gid) instanceof Error);
        leaveBarrier(tx, branch, op, failed);
        const written = new Map(gids.map((gid, index) => [gid, replies?.[index]]));
        const unwritten = entered
          .filter((gid) => !failed.includes(gid))
          .map((gid) => ({ gid, reply: answers.get(gid) ?? null }))
          .filter(({ gid, reply }) => JSON.stringify(reply) !== written.get(gid));
        storeReplies(tx, branch, op, unwritten);
        return requests.map(({ gid }) => answers.get(gid) as Result | Error);
      },
    },
  });
