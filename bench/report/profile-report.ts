import { fileURLToPath } from "node:url";
import type { CpuProfile, ProfileNode } from "../measure/inspector.ts";
import { number, percent, table } from "./table.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FUNCTIONS_SHOWN = 30;
const FILES_SHOWN = 25;
/** A profiled process: what V8 saw, and the CPU time that the system counted meanwhile. */
export interface Profiled {
  readonly profile: CpuProfile;
  readonly orders: number;
  readonly cpuMs: number;
}

/**
 * Where the time of a profiled process went: by package, by file, by function; each its own time, without callees'.
 * A native function counts for whoever called it. V8 looks at the clock: a thread that wants to run and has no core
 * is still in its function, mostly in a system call that has woken somebody up, so on a busy machine the sum exceeds
 * the CPU time.
 */
export function profileReport({ profile, orders, cpuMs }: Profiled): string {
  const own = ownTimes(profile);
  const total = own.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const section = (title: string, nameOf: (place: Place) => string, shown: number) => {
    const rows = grouped(own, nameOf)
      .slice(0, shown)
      .map(([name, sum]) => [name, number(sum / orders), percent(sum / total)]);
    return table([title, "us/order", "share"], rows);
  };
  return [
    `${number(total / orders)} us of Node's main thread for each of ${orders} orders, ` +
      `${number((1_000 * cpuMs) / orders)} us of CPU in all threads`,
    "",
    section("package", ({ file, native }) => packageOf(file) + (native === undefined ? "" : ", native"), 24),
    "",
    section("file", ({ file }) => file, FILES_SHOWN),
    "",
    section("function", functionOf, FUNCTIONS_SHOWN),
  ].join("\n");
}

/** A function, and what native function it was in. */
interface Place {
  readonly file: string;
  readonly name: string;
  readonly line: number;
  readonly native?: string;
  readonly microseconds: number;
}

function ownTimes({ nodes, samples, timeDeltas }: CpuProfile): Place[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(
    nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)),
  );
  const times = new Map<number, number>();
  samples.forEach((id, index) => {
    times.set(id, (times.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  });
  return [...times].flatMap(([id, microseconds]) => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === "(idle)") return [];
    return placeOf(node, callers, microseconds);
  });
}

function placeOf(node: ProfileNode, callers: ReadonlyMap<number, ProfileNode>, microseconds: number): Place {
  let caller: ProfileNode | undefined = node;
  while (caller !== undefined && caller.callFrame.url === "") caller = callers.get(caller.id);
  const { functionName } = node.callFrame;
  // (garbage collector), (program)
  if (caller === undefined) return { file: functionName, name: functionName, line: 0, microseconds };
  const { url, functionName: name, lineNumber } = caller.callFrame;
  const file = (url.startsWith("file://") ? fileURLToPath(url) : url).replace(ROOT, "");
  const native = caller === node ? undefined : functionName || "(anonymous)";
  return { file, name, line: lineNumber + 1, native, microseconds };
}

function grouped(places: readonly Place[], nameOf: (place: Place) => string): [string, number][] {
  const sums = new Map<string, number>();
  for (const place of places) {
    const name = nameOf(place);
    sums.set(name, (sums.get(name) ?? 0) + place.microseconds);
  }
  return [...sums].sort(([, one], [, other]) => other - one);
}

/** A folder of ours, a package of npm's, Node itself, or what V8 calls it. */
function packageOf(file: string): string {
  const installed = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1];
  if (installed !== undefined) return `npm ${installed}`;
  if (file.startsWith("node:")) return "node";
  if (file.startsWith("(")) return file;
  const [top = "", second = ""] = file.split("/");
  return top === "services" || (top === "lib" && second === "bus") ? `our ${top}/${second}` : `our ${top}`;
}

function functionOf({ file, name, line, native }: Place): string {
  if (file === name) return name;
  return `${native === undefined ? "" : `${native} < `}${name || "(anonymous)"} ${file.replace("node_modules/", "")}:${line}`;
}
