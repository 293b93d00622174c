import { PartFailedError } from "../parts/part.ts";
import { waitFor } from "../parts/process.ts";
import { type ControlPlane, KubectlError } from "./control-plane.ts";

/** What a real API server, its controllers and its scheduler make of our manifests. Each answers what it has seen. */

const NAMESPACE = "holdfast";
const MS_MAX = 600_000;

interface Named {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}
interface Pod extends Named {
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly phase: string };
}
interface Deployment extends Named {
  readonly metadata: Named["metadata"] & { readonly generation: number };
  readonly spec: { readonly replicas: number };
  readonly status: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
  };
}

export class CheckFailedError extends PartFailedError {
  constructor(reason: string) {
    super("k8s", reason);
  }
}

/** All of an overlay is taken by the server, strictly, without being kept. */
export function dryRun({ kubectl }: ControlPlane, folder: string): string {
  // What lies in a namespace is looked at only when that is there.
  if (kubectl(["get", "namespace", NAMESPACE, "--ignore-not-found"]) === "")
    kubectl(["create", "namespace", NAMESPACE]);
  const taken = kubectl(["apply", "--dry-run=server", "--validate=strict", "-k", folder]).split("\n");
  return `${taken.length} objects taken`;
}

/** Pods that may do more than ours are refused in this namespace. */
export function refusesPrivilege({ kubectl }: ControlPlane): string {
  try {
    kubectl(["run", "root", "--image=any", "--dry-run=server", "-n", NAMESPACE]);
  } catch (error) {
    if (error instanceof KubectlError && error.message.includes('violates PodSecurity "restricted'))
      return "a pod that may run as root is refused";
    throw error;
  }
  throw new CheckFailedError("a pod that may run as root was taken");
}

/** Three machines in two zones. */
export function addNodes({ kubectl }: ControlPlane): string {
  const nodes = ["a", "b", "b"].map((zone, index) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: `machine-${index + 1}`,
      annotations: { "kwok.x-k8s.io/node": "fake" },
      labels: { "kubernetes.io/hostname": `machine-${index + 1}`, "topology.kubernetes.io/zone": zone },
    },
    status: {
      allocatable: { cpu: "32", memory: "64Gi", pods: "110" },
      capacity: { cpu: "32", memory: "64Gi", pods: "110" },
    },
  }));
  kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: nodes }));
  return `${nodes.length} nodes in 2 zones`;
}

const list = <Item extends Named>({ kubectl }: ControlPlane, kind: string): readonly Item[] =>
  (JSON.parse(kubectl(["get", kind, "-n", NAMESPACE, "-o", "json"])) as { items: Item[] }).items;

const appOf = ({ metadata }: Named) => metadata.labels?.["app.kubernetes.io/name"] ?? "";

const isRolledOut = ({ metadata, spec, status }: Deployment) =>
  status.observedGeneration === metadata.generation &&
  [status.replicas, status.updatedReplicas, status.availableReplicas].every(
    (count) => count === spec.replicas,
  );

/** Applied for good: every Deployment comes up, in as many replicas as its autoscaler wants at least. */
export async function rollOut(plane: ControlPlane, folder: string, replicas: number): Promise<string> {
  plane.kubectl(["apply", "-k", folder]);
  const deployments = () => list<Deployment>(plane, "deployments");
  const done = () => deployments().every((one) => isRolledOut(one) && one.spec.replicas >= replicas);
  if (!(await waitFor(done, MS_MAX, 500)))
    throw new CheckFailedError(`not rolled out: ${tell(deployments())}`);
  return tell(deployments());
}

const tell = (deployments: readonly Deployment[]) =>
  deployments
    .map(({ metadata, spec, status }) => `${metadata.name} ${status.availableReplicas ?? 0}/${spec.replicas}`)
    .join(", ");

/** The replicas of a service are on different machines, in different zones. */
export function spreads(plane: ControlPlane): string {
  const zones = new Map(
    (JSON.parse(plane.kubectl(["get", "nodes", "-o", "json"])) as { items: Named[] }).items.map(
      ({ metadata }) => [metadata.name, metadata.labels?.["topology.kubernetes.io/zone"]],
    ),
  );
  const pods = list<Pod>(plane, "pods").filter(({ status }) => status.phase === "Running");
  const lines = list<Deployment>(plane, "deployments").map((deployment) => {
    const nodes = pods
      .filter((pod) => appOf(pod) === appOf(deployment))
      .map(({ spec }) => spec.nodeName ?? "");
    const isSpread =
      new Set(nodes).size === nodes.length && new Set(nodes.map((one) => zones.get(one))).size === 2;
    if (!isSpread) throw new CheckFailedError(`${deployment.metadata.name} is on ${nodes.join(", ")}`);
    return nodes.length;
  });
  return `${lines.length} services, each on two machines in two zones`;
}

/** Of two replicas one may be taken away; the other one only when there is a new one. */
export async function budgets(plane: ControlPlane): Promise<string> {
  const machines = JSON.parse(plane.kubectl(["get", "nodes", "-o", "json"])) as { items: Named[] };
  const names = machines.items.map(({ metadata }) => metadata.name);
  // Until they are opened again no new pod comes in the place of the first.
  plane.kubectl(["cordon", ...names]);
  const pods = list<Pod>(plane, "pods").filter((pod) => appOf(pod) === "order");
  const results = pods.map(({ metadata: { name } }) => {
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: NAMESPACE } };
    try {
      const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}/eviction`;
      plane.kubectl(["create", "--raw", path, "-f", "-"], JSON.stringify(eviction));
      return "evicted";
    } catch (error) {
      if (error instanceof KubectlError && error.message.includes("disruption budget")) return "refused";
      throw error;
    }
  });
  if (results.join() !== "evicted,refused") throw new CheckFailedError(`evictions: ${results.join(", ")}`);
  plane.kubectl(["uncordon", ...names]);
  const isWhole = () => list<Deployment>(plane, "deployments").every(isRolledOut);
  if (!(await waitFor(isWhole, MS_MAX, 500))) throw new CheckFailedError("the evicted pod is not replaced");
  return "the first eviction of order is granted, the second refused until there is a new pod";
}

/** While something changes no service is ever without enough replicas. Answers the fewest that were seen. */
async function throughout(plane: ControlPlane, least: number, isDone: () => boolean): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  const done = await waitFor(
    () => {
      for (const one of list<Deployment>(plane, "deployments")) {
        const available = one.status.availableReplicas ?? 0;
        fewest = Math.min(fewest, available);
        if (available < least) throw new CheckFailedError(`${one.metadata.name} had ${available} replicas`);
      }
      return isDone();
    },
    MS_MAX,
    100,
  );
  if (!done) throw new CheckFailedError("it does not come to an end");
  return fewest;
}

/** A new version replaces every pod, and never takes one away before the new one is ready. */
export async function update(plane: ControlPlane): Promise<string> {
  const before = new Set(list<Pod>(plane, "pods").map(({ metadata }) => metadata.name));
  for (const { metadata } of list<Deployment>(plane, "deployments"))
    plane.kubectl(["set", "image", "-n", NAMESPACE, `deployment/${metadata.name}`, "service=holdfast:next"]);
  const fewest = await throughout(plane, 2, () => {
    const left = list<Pod>(plane, "pods").filter(
      (pod) => before.has(pod.metadata.name) && pod.status.phase === "Running",
    );
    return left.length === 0 && list<Deployment>(plane, "deployments").every(isRolledOut);
  });
  return `all pods replaced, never fewer than ${fewest} of a service available`;
}

/** A machine is emptied: its pods go elsewhere, one of each service at a time. */
export async function drain(plane: ControlPlane): Promise<string> {
  const machine = "machine-1";
  plane.kubectl(["cordon", machine]);
  const on = () => list<Pod>(plane, "pods").filter(({ spec }) => spec.nodeName === machine);
  const count = on().length;
  const isEmpty = () => on().length === 0 && list<Deployment>(plane, "deployments").every(isRolledOut);
  const [fewest] = await Promise.all([
    throughout(plane, 1, isEmpty),
    plane.kubectlMeanwhile(["drain", machine, "--force", "--ignore-daemonsets", "--timeout=90s"]),
  ]);
  return `${count} pods left ${machine}, never fewer than ${fewest} of a service available`;
}
