import { type ActionEndpoint, Errors, type Middleware, Strategies } from "moleculer";

/**
 * A process that dies by kill -9 says nothing, and counts as alive until its heartbeat has been missed for 8 s. Until
 * then every other call would go to it and cost its whole timeout: work whose first call was lost would lose the second
 * one too, and be 11 s late. So whoever did not answer in time is asked last, for a while.
 */

/** Longer than it takes until a dead one is no longer counted as alive. */
const SILENT_MS = 10_000;

/** Nodes that let a call's time run out. */
export class SilentNodes {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  timedOut(nodeId: string): void {
    this.#until.set(nodeId, this.#now() + SILENT_MS);
  }

  /** It has answered, or is there anew. */
  heard(nodeId: string): void {
    if (this.#until.size > 0) this.#until.delete(nodeId);
  }

  /** Those that may be asked: all but the silent ones, and all when there are no others. */
  among<Endpoint extends { readonly id: string }>(endpoints: Endpoint[]): Endpoint[] {
    if (this.#until.size === 0) return endpoints;
    const now = this.#now();
    for (const [nodeId, until] of this.#until) if (until <= now) this.#until.delete(nodeId);
    const answering = endpoints.filter(({ id }) => !this.#until.has(id));
    return answering.length > 0 ? answering : endpoints;
  }
}

/** Moleculer's round robin, for `registry.strategy`, over the nodes that answer. */
export function roundRobinAmong(silent: SilentNodes): typeof Strategies.Base {
  return class extends Strategies.RoundRobin {
    override select(endpoints: ActionEndpoint[]) {
      return super.select(silent.among(endpoints));
    }
  };
}

/** Notes who answers and who does not. */
export function silentNodes(silent: SilentNodes): Middleware {
  return {
    name: "SilentNodes",
    created({ localBus }) {
      const back = ({ node }: { readonly node: { readonly id: string } }) => silent.heard(node.id);
      localBus.on("$node.connected", back);
      localBus.on("$node.updated", back);
    },
    remoteAction(handler) {
      return function noted(ctx) {
        const answer = handler.call(this, ctx);
        // Beside what the caller waits for, which stays the promise that Moleculer made.
        answer.then(
          () => silent.heard(ctx.nodeID ?? ""),
          (error: unknown) => {
            if (isOwnTimeout(error, ctx.nodeID)) silent.timedOut(ctx.nodeID ?? "");
          },
        );
        return answer;
      };
    },
  };
}

/** A node whose own call to another one ran out of time has answered, with just that. */
function isOwnTimeout(error: unknown, nodeId: string | null): boolean {
  if (!(error instanceof Errors.RequestTimeoutError)) return false;
  const { nodeID } = (error.data ?? {}) as { readonly nodeID?: string };
  return nodeID === nodeId;
}
