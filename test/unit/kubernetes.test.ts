import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";
import { SERVICE_NAMES } from "../../lib/settings.ts";
import { digestOf, OVERLAYS, render, renderedFile } from "../../scripts/manifests.ts";
import { configOf, exists, stopMsMax, unknownSettings } from "../support/deployment.ts";
import {
  envOf,
  faultsOf,
  type Manifest,
  matches,
  ofKind,
  readManifests,
  type Workload,
  workloadsOf,
} from "../support/manifests.ts";

/** What kustomize makes of k8s/overlays, against Kubernetes' schemas, our settings, and its own other parts. */

describe.each(OVERLAYS)("k8s/overlays/%s", (overlay) => {
  const manifests = readManifests(overlay);
  const workloads = workloadsOf(manifests);
  const ours = workloads.filter(({ container }) => /(^|\/)holdfast:/.test(container.image));
  const services = ours.filter(({ kind }) => kind === "Deployment");
  const env = ({ container }: Workload) => envOf(container, manifests);

  it("is rendered from what stands there now", () => {
    expect(readFileSync(renderedFile(overlay), "utf8").split("\n", 1)).toEqual([
      `# npm run k8s:render made this from ${digestOf(overlay)}`,
    ]);
    const rendered = render(overlay);
    if (rendered === undefined) console.warn("kubectl is not here: what it would render was not compared");
    else {
      const now = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest);
      expect(now.sort(byName)).toEqual([...manifests].sort(byName));
    }
  });

  it("holds nothing that Kubernetes does not know", () => {
    const faults = manifests.map((one) => [`${one.kind} ${one.metadata.name}`, ...faultsOf(one)]);
    expect(faults.filter(({ length }) => length > 1)).toEqual([]);
  });

  it("keeps all in one namespace, and no secret", () => {
    const strays = manifests.filter(
      (one) => one.kind !== "Namespace" && one.metadata.namespace !== "holdfast",
    );
    expect(strays).toEqual([]);
    expect(ofKind(manifests, "Secret")).toEqual([]);
  });

  it("has a Deployment for each service, with a budget and an autoscaler of its own", () => {
    expect(services.map((one) => env(one).SERVICES).sort()).toEqual([...SERVICE_NAMES].sort());
    for (const one of services) {
      const name = env(one).SERVICES;
      expect(one).toMatchObject({ name: `${name}-service`, labels: { "app.kubernetes.io/name": name } });
      expect(exists(`services/${name}/${name}.service.ts`)).toBe(true);
      const budgets = ofKind(manifests, "PodDisruptionBudget");
      expect(budgets.filter(({ spec }) => matches(spec.selector ?? {}, one.labels))).toHaveLength(1);
      const scalers = ofKind(manifests, "HorizontalPodAutoscaler");
      expect(scalers.filter(({ spec }) => spec.scaleTargetRef?.name === one.name)).toHaveLength(1);
      for (const { labelSelector } of one.pod.topologySpreadConstraints ?? [])
        expect(services.filter(({ labels }) => matches(labelSelector, labels))).toEqual([one]);
    }
  });

  it("selects the pods that it makes, and theirs alone", () => {
    for (const { kind, spec } of manifests.filter(({ kind }) => /Deployment|StatefulSet/.test(kind))) {
      const selected = workloads.filter(({ labels }) => matches(spec.selector ?? {}, labels));
      expect([kind, selected.length]).toEqual([kind, 1]);
      expect(selected[0]?.labels).toEqual(spec.template?.metadata.labels);
    }
  });

  it("sets what is a setting, to what a setting may be", () => {
    for (const one of ours) {
      expect(unknownSettings(env(one))).toEqual([]);
      const config = configOf(env(one));
      if (one.kind === "Deployment") expect(config.TRANSPORTER).toBeDefined();
    }
  });

  it("gives a variable one value", () => {
    for (const { container } of workloads) {
      const names = (container.env ?? []).map(({ name }) => name);
      expect(names).toEqual([...new Set(names)]);
    }
  });

  it("lets Kubernetes add no variables: KAFKA_PORT of a Service kafka would stop every start", () => {
    for (const { pod } of workloads) expect(pod.enableServiceLinks).toBe(false);
  });

  it("names the ports that the settings open, and probes what answers there", () => {
    for (const one of services) {
      const { PORT, INTERNAL_PORT, SERVICES } = configOf(env(one));
      const api = SERVICES.includes("gateway") ? [{ name: "api", containerPort: PORT }] : [];
      expect(one.container.ports).toEqual([{ name: "internal", containerPort: INTERNAL_PORT }, ...api]);
      const { startupProbe, livenessProbe, readinessProbe } = one.container;
      expect([startupProbe, livenessProbe, readinessProbe].map((probe) => probe?.httpGet)).toEqual([
        { path: "/live", port: "internal" },
        { path: "/live", port: "internal" },
        { path: "/ready", port: "internal" },
      ]);
    }
  });

  it("points Services, Ingresses and probes at ports that pods have", () => {
    for (const { container } of workloads) {
      const names = (container.ports ?? []).map(({ name }) => name);
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
        expect([undefined, ...names]).toContain(probe?.httpGet?.port ?? probe?.tcpSocket?.port);
      for (const name of names) expect(name.length).toBeLessThanOrEqual(15);
    }
    for (const { spec } of ofKind(manifests, "Service")) {
      const [target] = workloads.filter(({ labels }) =>
        matches({ matchLabels: spec.selector ?? {} }, labels),
      );
      for (const { targetPort } of spec.ports ?? [])
        expect(target?.container.ports?.map(({ name }) => name)).toContain(targetPort);
    }
  });

  it("lets a service finish its work before it is killed", () => {
    for (const one of services) {
      const waitMs = (one.container.lifecycle?.preStop.sleep.seconds ?? 0) * 1_000;
      const graceMs = (one.pod.terminationGracePeriodSeconds ?? 30) * 1_000;
      expect(graceMs).toBeGreaterThan(waitMs + stopMsMax(configOf(env(one))));
    }
  });

  it("runs scripts that exist, in images of exact versions", () => {
    for (const { container } of workloads) {
      expect(container.image).toMatch(/:(local|\d+\.\d+\S*)$/);
      for (const word of container.command ?? [])
        if (word.endsWith(".ts")) expect([word, exists(word)]).toEqual([word, true]);
    }
  });

  it("asks for no more than its limit", () => {
    for (const { container } of workloads) {
      const { requests, limits } = container.resources;
      for (const kind of ["cpu", "memory"] as const)
        expect(amount(requests[kind])).toBeLessThanOrEqual(amount(limits[kind]));
    }
  });
});

/** Versions of kustomize differ in the order. */
function byName(one: Manifest, other: Manifest): number {
  return `${one.kind} ${one.metadata.name}`.localeCompare(`${other.kind} ${other.metadata.name}`);
}

/** "250m", "2", "512Mi", "1Gi" */
function amount(quantity: string): number {
  const [, number, unit = ""] = /^(\d+)(m|Mi|Gi)?$/.exec(quantity) ?? [];
  const factor = { "": 1, m: 0.001, Mi: 2 ** 20, Gi: 2 ** 30 }[unit];
  return Number(number) * (factor ?? Number.NaN);
}
