import { Errors, type Middleware } from "moleculer";

/**
 * A request that nobody waits for any more must not be worked on: under load that is how a backlog feeds itself. Its
 * deadline travels with every call of it (`meta.deadline`, milliseconds since 1970) and is looked at where work would
 * begin: when an action is entered, and when a batch takes what waited for it.
 */

/** By so much the clocks of two nodes may differ without harm. */
const CLOCK_SKEW_MS = 1_000;

/** 504: the time of the request was over before this part of its work began; nothing was changed. */
export class DeadlinePassedError extends Errors.MoleculerRetryableError {
  constructor(where: string) {
    super(`The request's time was over before ${where} began.`, 504, "DEADLINE_PASSED", { where });
  }
}

/** Whether nobody waits for it any more; what has no deadline is always waited for. */
export function hasPassed(deadline: number | undefined, now = Date.now()): boolean {
  return deadline !== undefined && now > deadline + CLOCK_SKEW_MS;
}

/** Refuses actions whose request has missed its deadline, before their handlers run. */
export function deadlines(): Middleware {
  return {
    name: "Deadlines",
    localAction(handler, { name = "an action" }) {
      return function ifInTime(ctx) {
        const { deadline } = ctx.meta as { readonly deadline?: number };
        if (hasPassed(deadline)) return Promise.reject(new DeadlinePassedError(name));
        return handler.call(this, ctx);
      };
    },
  };
}
