import type { ActionSchema, Context, Middleware } from "moleculer";
import { CallerNotAllowedError } from "./errors.ts";
import { log } from "./logging.ts";
import type { ServiceName } from "./settings.ts";

type Handler = (ctx: Context) => Promise<unknown>;

/**
 * Refuses an action to those whom its `callers` do not name, before anything else looks at the call. Who calls is what
 * Moleculer tells of itself (`ctx.caller`): the service whose context the call was made in, or the option `caller`. In
 * this process that is our own code; from elsewhere it is as good as the seal of the packet (packet-seal.ts). An action
 * without `callers` is open to this process alone. Cost: a look into a Set, less than what a local call (0.6 us) varies by.
 */
export function callers(): Middleware {
  return {
    name: "Callers",
    localAction(
      next: Handler,
      { name, callers: allowed }: ActionSchema & { callers?: readonly ServiceName[] },
    ) {
      const names: ReadonlySet<string | null> | undefined = allowed && new Set(allowed);
      return (ctx: Context) => {
        const isAllowed =
          names === undefined ? ctx.nodeID === ctx.broker.nodeID : names.has(ctx.caller as string | null);
        if (isAllowed) return next(ctx);
        const { caller, nodeID } = ctx;
        log(ctx.broker.logger, ctx).error("a caller was refused", { action: name, caller, node: nodeID });
        return Promise.reject(new CallerNotAllowedError(String(name), String(caller)));
      };
    },
  };
}
