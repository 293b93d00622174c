import { inspect } from "node:util";
import { FLOWS } from "./flows.ts";
import { atRest, killAt } from "./mortal-system.ts";
import type { Nodes } from "./nodes.ts";

export type FlowName = keyof typeof FLOWS;

/** Where a node is to die, and who goes on: itself, started anew, or the replica beside it. */
export interface Place {
  readonly flow: FlowName;
  /** A point's name, with `@n` for a later passage. */
  readonly at: string;
  readonly mode: (typeof MODES)[number];
}

export interface Outcome {
  /** False: the flow came to its end without passing the point. */
  readonly met: boolean;
  /** From the death until all is at rest. */
  readonly recoveredMs: number;
  readonly problems: readonly string[];
}

export const MODES = ["restart", "take-over"] as const;
/** How long nothing is asked of the nodes, to see which points are passed all the same. */
const idleMs = 2_000;
/** Clients look what became of it as often as they like. */
const LOOKS = /^call\.\w+\.(get|transaction|byOrder|list)\./;
/** A later passage than this one is most likely a loop's. */
const passagesMax = 3;

/**
 * All places of all flows, as they are found by running each once. What loops pass at any time, whether a flow needs them or
 * not, is a place of one flow only.
 */
export async function allPlaces(nodes: Nodes, everyPassage: boolean): Promise<readonly Place[]> {
  await nodes.fill(1);
  const loops = new Set(
    await passedWhile(nodes, () => new Promise((resolve) => setTimeout(resolve, idleMs))),
  );
  const places: Place[] = [];
  const known = new Set<string>();
  for (const flow of Object.keys(FLOWS) as FlowName[]) {
    const begun = await FLOWS[flow].prepare(nodes);
    await atRest(nodes);
    const passed = await passedWhile(nodes, () => FLOWS[flow].act(nodes, begun));
    for (const at of passed) {
      const [point = "", passage = "1"] = at.split("@");
      const once = loops.has(point) || LOOKS.test(point);
      const wanted = passage === "1" || (everyPassage && !once && Number(passage) <= passagesMax);
      // A process that dies where it only reads dies between two other points.
      if (!wanted || point.endsWith(".before-read") || (once && known.has(point))) continue;
      known.add(point);
      places.push(...MODES.map((mode) => ({ flow, at, mode })));
    }
  }
  return places;
}

async function passedWhile(nodes: Nodes, work: () => Promise<unknown>): Promise<readonly string[]> {
  nodes.arm();
  await work();
  await atRest(nodes);
  nodes.disarm();
  return nodes.passed();
}

/** Runs a flow whose node dies there, and all that follows from it. */
export async function runPlace(nodes: Nodes, { flow, at, mode }: Place): Promise<Outcome> {
  const count = mode === "restart" ? 1 : 2;
  await nodes.fill(1);
  // Meanwhile the second one starts, where the last one died.
  const filling = nodes.fill(count);
  const begun = await FLOWS[flow].prepare(nodes);
  await filling;
  await atRest(nodes);
  let diedAt: number | undefined;
  const death = nodes.death().then(() => {
    diedAt = performance.now();
  });
  nodes.arm(killAt(at));
  const resting = FLOWS[flow].act(nodes, begun).then(() => atRest(nodes));
  // Until the system runs again its failure is nobody's; then it is ours.
  resting.catch(() => undefined);
  const problems: string[] = [];
  try {
    await Promise.race([death, resting]);
    // Whoever goes on in the other mode is there already, and has to manage alone.
    if (diedAt !== undefined && mode === "restart") await nodes.fill(count);
    await resting;
  } catch (error) {
    const { orderId } = begun;
    const log = orderId === "" ? [] : nodes.logged(orderId).slice(-20);
    problems.push([`${flow}, ${mode}, killed at ${at}: ${inspect(error)}`, ...log].join("\n"));
  }
  const met = !nodes.disarm();
  const endedAt = performance.now();
  // It may have died this very moment, when all was over.
  if (met) await death;
  return { met, recoveredMs: Math.round(endedAt - (diedAt ?? endedAt)), problems };
}
