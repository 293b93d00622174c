import type { Context, Middleware } from "moleculer";
import type { Config } from "./config.ts";
import { type ActionContext, defineService } from "./define.ts";
import { armFaultsNow, asWork, FAULTS_PATTERN, faults, parseFaults } from "./fault-points.ts";
import { log } from "./logging.ts";
import { SERVICE_NAMES, type ServiceName } from "./settings.ts";

/** Told to every node: each that runs the service arms these faults in place of its earlier ones. */
const ARMED = "faults.armed";
const FAULTS_LENGTH_MAX = 4_000;

type Handler = (ctx: Context) => Promise<unknown>;

interface Armed {
  readonly faults: string;
  readonly service?: ServiceName;
  readonly actor: string;
}

/**
 * Lets operators arm fault points while the system runs, in demo mode or with FAULT_INJECTION. Elsewhere the action
 * does not exist, so that nobody can, whatever their roles.
 */
export function faultInjection(settings: Config): Middleware {
  return {
    name: "FaultInjection",
    /** What an action writes is named after it, whether it was called in this process or in another. */
    localAction(next: Handler, { name = "an action" }) {
      return (ctx: Context) => (faults.armed ? asWork(name, () => next(ctx)) : next(ctx));
    },
    created(broker) {
      if (settings.DEMO || settings.FAULT_INJECTION) broker.createService(faultsService(settings));
    },
  };
}

const faultsService = (settings: Config) =>
  defineService()({
    name: "faults",
    actions: {
      /** Has all nodes arm these faults, or those that run one service; none disarms them. */
      arm: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          faults: { type: "string", max: FAULTS_LENGTH_MAX, pattern: FAULTS_PATTERN },
          service: { type: "enum", values: [...SERVICE_NAMES], optional: true },
          actor: { type: "string", min: 1, max: 100 },
        },
        async handler(ctx: ActionContext<"faults.arm">) {
          const { faults, service } = ctx.params;
          await ctx.broker.broadcast(ARMED, ctx.params satisfies Armed);
          return { faults, ...(service !== undefined && { service }) };
        },
      },
    },
    events: {
      [ARMED](ctx: Context<Armed>) {
        const { faults, service, actor } = ctx.params;
        if (service !== undefined && !settings.SERVICES.includes(service)) return;
        armFaultsNow(faults === "" ? [] : (parseFaults(faults) ?? []));
        log(this.logger, {}).warn("faults armed", { faults, actor });
      },
    },
  });
