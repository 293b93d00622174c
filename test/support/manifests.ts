import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { type Overlay, renderedFile } from "../../scripts/manifests.ts";
import { readYaml, root } from "./deployment.ts";

/** Kubernetes' objects, as far as our tests look into them. */

type Labels = Readonly<Record<string, string>>;

export interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly { readonly key: string; readonly values: readonly string[] }[];
}

export interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string };
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
  readonly tcpSocket?: { readonly port: string };
}

export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: Readonly<Record<"requests" | "limits", Readonly<Record<"cpu" | "memory", string>>>>;
  readonly securityContext: object;
}

export interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
  readonly projected?: { readonly sources: readonly { readonly secret: { readonly name: string } }[] };
  readonly configMap?: { readonly name: string };
}

export interface PodSpec {
  readonly containers: readonly [Container];
  readonly initContainers?: unknown;
  readonly volumes?: readonly Volume[];
  readonly securityContext: object;
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly enableServiceLinks: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly topologySpreadConstraints?: readonly { readonly labelSelector: Selector }[];
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly data?: Labels;
  readonly spec: {
    readonly template?: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
    readonly selector?: Selector & Labels;
    readonly scaleTargetRef?: { readonly name: string };
    readonly ports?: readonly { readonly port: number; readonly targetPort: string }[];
    readonly podSelector?: Selector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly {
      readonly from: readonly Peer[];
      readonly ports: readonly { readonly port: number }[];
    }[];
    readonly egress?: readonly {
      readonly to: readonly Peer[];
      readonly ports: readonly { readonly port: number }[];
    }[];
  };
}

export interface Workload {
  readonly name: string;
  readonly kind: string;
  readonly labels: Labels;
  readonly pod: PodSpec;
  readonly container: Container;
}

export const readManifests = (overlay: Overlay) => readYaml<Manifest>(relative(root, renderedFile(overlay)));

export const ofKind = (manifests: readonly Manifest[], kind: string) =>
  manifests.filter((one) => one.kind === kind);

/** Whatever makes pods. */
export function workloadsOf(manifests: readonly Manifest[]): Workload[] {
  return manifests.flatMap(({ kind, metadata: { name }, spec }) => {
    if (spec?.template === undefined) return [];
    const { metadata, spec: pod } = spec.template;
    return [{ name, kind, labels: metadata.labels, pod, container: pod.containers[0] }];
  });
}

/** The environment of a container, with its ConfigMaps; without what only the cluster knows. */
export function envOf(container: Container, manifests: readonly Manifest[]): Record<string, string> {
  const maps = (container.envFrom ?? []).map(({ configMapRef: { name } }) => {
    const map = ofKind(manifests, "ConfigMap").find((one) => one.metadata.name === name);
    if (map === undefined) throw new Error(`there is no ConfigMap ${name}`);
    return map.data ?? {};
  });
  const own = (container.env ?? []).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.assign({}, ...maps, Object.fromEntries(own));
}

/** Names of the secrets whose keys lie in the pod's files. */
export function secretsOf({ volumes = [] }: PodSpec): string[] {
  return volumes.flatMap(({ secret, projected }) => [
    ...(secret ? [secret.secretName] : []),
    ...(projected?.sources.map((source) => source.secret.name) ?? []),
  ]);
}

export function matches(selector: Selector, labels: Labels): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ""))
  );
}

interface Schemas {
  readonly kinds: Readonly<Record<string, string>>;
  readonly $defs: object;
}

const schemas = JSON.parse(readFileSync(join(__dirname, "kubernetes-1.34.schema.json"), "utf8")) as Schemas;
const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema({
  $id: "kubernetes",
  $defs: schemas.$defs,
});

/** What Kubernetes' own schema says against it; properties that it does not know and nulls are faults too. */
export function faultsOf(manifest: Manifest): string[] {
  const ref = schemas.kinds[`${manifest.apiVersion}/${manifest.kind}`];
  if (ref === undefined) return [`the schema of ${manifest.apiVersion}/${manifest.kind} is not here`];
  const validate = ajv.getSchema(`kubernetes${ref}`);
  if (validate === undefined) throw new Error(`no schema ${ref}`);
  validate(manifest);
  const faults = (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
  return [...faults, ...(JSON.stringify(manifest).includes(":null") ? ["holds a null"] : [])];
}
