import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { OVERLAYS } from "../../scripts/manifests.ts";
import { configOf, root } from "../support/deployment.ts";
import {
  envOf,
  type Manifest,
  matches,
  ofKind,
  type Peer,
  readManifests,
  type Selector,
  secretsOf,
  type Workload,
  workloadsOf,
} from "../support/manifests.ts";

/** Who may reach whom, with which rights, and who is given which secret. */

interface Rule {
  readonly policy: string;
  readonly selector: Selector;
  readonly peers: readonly Peer[];
  readonly ports: readonly number[];
}

function rulesOf(manifests: readonly Manifest[], direction: "ingress" | "egress"): Rule[] {
  return ofKind(manifests, "NetworkPolicy").flatMap(({ metadata, spec }) => {
    const rules =
      direction === "ingress"
        ? spec.ingress?.map(({ from, ports }) => [from, ports] as const)
        : spec.egress?.map(({ to, ports }) => [to, ports] as const);
    return (rules ?? []).map(([peers, ports]) => ({
      policy: metadata.name,
      selector: spec.podSelector ?? {},
      peers,
      ports: ports.map(({ port }) => port),
    }));
  });
}

/** Pairs of pods, "order > nats:4222", that the rules of one direction allow. */
function pairsOf(
  workloads: readonly Workload[],
  rules: readonly Rule[],
  direction: "ingress" | "egress",
): string[] {
  const nameOf = ({ labels }: Workload) => labels["app.kubernetes.io/name"];
  const pairs = rules.flatMap(({ selector, peers, ports }) =>
    workloads
      .filter(({ labels }) => matches(selector, labels))
      .flatMap((one) =>
        peers
          .filter(
            ({ namespaceSelector, ipBlock }) => namespaceSelector === undefined && ipBlock === undefined,
          )
          .flatMap(({ podSelector = {} }) => workloads.filter(({ labels }) => matches(podSelector, labels)))
          .flatMap((other) => {
            const [from, to] = direction === "egress" ? [one, other] : [other, one];
            return ports.map((port) => `${nameOf(from)} > ${nameOf(to)}:${port}`);
          }),
      ),
  );
  return [...new Set(pairs)].sort();
}

describe.each(OVERLAYS)("k8s/overlays/%s", (overlay) => {
  const manifests = readManifests(overlay);
  const workloads = workloadsOf(manifests);
  const [ingress, egress] = [rulesOf(manifests, "ingress"), rulesOf(manifests, "egress")];

  it("denies every pod everything first", () => {
    const [deny] = ofKind(manifests, "NetworkPolicy").filter(
      ({ metadata }) => metadata.name === "default-deny",
    );
    expect(deny?.spec).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  });

  it("lets no rule stand without pods, peers and ports", () => {
    for (const { policy, selector, peers, ports } of [...ingress, ...egress]) {
      expect([policy, workloads.some(({ labels }) => matches(selector, labels))]).toEqual([policy, true]);
      expect([policy, peers.length > 0, ports.length > 0]).toEqual([policy, true, true]);
      const names = [selector, ...peers.map(({ podSelector }) => podSelector)].flatMap((one) => [
        ...(one?.matchExpressions ?? []).flatMap(({ values }) => values),
        ...[one?.matchLabels?.["app.kubernetes.io/name"] ?? []].flat(),
      ]);
      for (const name of names)
        expect(workloads.map(({ labels }) => labels["app.kubernetes.io/name"])).toContain(name);
    }
  });

  it("opens each pair of pods on both sides", () => {
    const pairs = pairsOf(workloads, egress, "egress");
    expect(pairsOf(workloads, ingress, "ingress")).toEqual(pairs);
    for (const pair of pairs) {
      const [, name, port] = / > (\S+):(\d+)$/.exec(pair) ?? [];
      const target = workloads.find(({ labels }) => labels["app.kubernetes.io/name"] === name);
      expect(target?.container.ports?.map(({ containerPort }) => containerPort)).toContain(Number(port));
    }
  });

  it("lets each service reach what its settings name, and the gateway no database", () => {
    const reach = (one: Workload) =>
      new Set(egress.filter(({ selector }) => matches(selector, one.labels)).flatMap(({ ports }) => ports));
    for (const one of workloads.filter(
      ({ kind, name }) => kind === "Deployment" && name.endsWith("-service"),
    )) {
      const { TRANSPORTER = "", KAFKA_BROKERS = "", SERVICES } = configOf(envOf(one.container, manifests));
      const ports = [...TRANSPORTER.matchAll(/:(\d+)/g), ...KAFKA_BROKERS.matchAll(/:(\d+)/g)].map((m) =>
        Number(m[1]),
      );
      const [nats, ...kafka] = ports;
      const gateway = SERVICES.includes("gateway");
      expect([...reach(one)]).toEqual(expect.arrayContaining(gateway ? [nats] : [nats, ...kafka, 5432]));
      if (gateway) expect(reach(one).has(5432)).toBe(false);
    }
  });

  it("lets none but who talks to a provider or a receiver out to the internet", () => {
    const open = egress.filter(({ peers }) => peers.some(({ ipBlock }) => ipBlock?.cidr === "0.0.0.0/0"));
    const out = workloads.filter(({ labels }) => open.some(({ selector }) => matches(selector, labels)));
    const names = out.map(({ labels }) => labels["app.kubernetes.io/name"]).sort();
    expect(names).toEqual(overlay === "production" ? ["customer", "payment"] : []);
  });

  it("runs every pod under the restricted standard", () => {
    const [namespace] = ofKind(manifests, "Namespace");
    expect(namespace?.metadata.labels).toMatchObject({ "pod-security.kubernetes.io/enforce": "restricted" });
    for (const { name, pod, container } of workloads) {
      expect([name, pod]).toMatchObject([
        name,
        { securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } } },
      ]);
      expect([name, container]).toMatchObject([
        name,
        { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } } },
      ]);
      expect([name, pod.automountServiceAccountToken, pod.containers.length]).toEqual([name, false, 1]);
      if (!container.image.startsWith("apache/kafka"))
        expect([name, container.securityContext]).toMatchObject([name, { readOnlyRootFilesystem: true }]);
    }
  });

  it("gives a service the secrets of its own, and what seals packets", () => {
    for (const { name, pod } of workloads.filter((one) => one.name.endsWith("-service")))
      expect(secretsOf(pod).sort()).toEqual(
        ["holdfast-cluster", `holdfast-${name.replace(/-service$/, "")}`].sort(),
      );
  });

  it("gives the gateway, and nobody else, the keys of tokens and of personal data", () => {
    const keys = workloads
      .filter(({ name }) => name.endsWith("-service"))
      .map(({ name, container }) => [
        name,
        Object.keys(envOf(container, manifests)).filter((one) => /_KEYS(_FILE)?$/.test(one)),
      ]);
    expect(keys.filter(([, held]) => held?.length)).toEqual([
      ["gateway-service", ["JWT_KEYS", "PERSONAL_DATA_KEYS_FILE"]],
    ]);
  });

  it("passes secrets in files", () => {
    for (const { name, container } of workloads) {
      const inVariables = (container.env ?? []).filter(
        ({ valueFrom }) => valueFrom?.secretKeyRef !== undefined,
      );
      // PostgreSQL's image is somebody else's.
      if (name !== "postgres") expect(inVariables).toEqual([]);
    }
  });
});

describe("npm run k8s:dev-secrets", () => {
  it("makes the secrets that k8s/overlays/dev refers to, the same each time", () => {
    const dataDir = mkdtempSync(join(tmpdir(), "holdfast-secrets-"));
    try {
      const made = () =>
        execFileSync(process.execPath, [join(root, "scripts/dev-secrets.ts")], {
          encoding: "utf8",
          env: { ...process.env, DATA_DIR: dataDir },
        });
      const first = made();
      expect(made()).toBe(first);
      const { items } = JSON.parse(first) as { items: { metadata: { name: string }; stringData: object }[] };
      const keys = new Map(items.map(({ metadata, stringData }) => [metadata.name, Object.keys(stringData)]));
      const manifests = readManifests("dev");
      for (const { pod, container } of workloadsOf(manifests)) {
        const there = secretsOf(pod).flatMap((name) => keys.get(name) ?? [`no secret ${name}`]);
        const files = Object.values(envOf(container, manifests)).filter((value) =>
          value.startsWith("/run/secrets/"),
        );
        expect(there).toEqual(expect.arrayContaining(files.map((file) => basename(file))));
        for (const { valueFrom } of container.env ?? [])
          if (valueFrom?.secretKeyRef)
            expect(keys.get(valueFrom.secretKeyRef.name)).toContain(valueFrom.secretKeyRef.key);
      }
    } finally {
      rmSync(dataDir, { recursive: true });
    }
  });
});
