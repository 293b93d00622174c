import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Lifecycle } from "../lifecycle.ts";
import { PartFailedError } from "../parts/part.ts";
import { freePort } from "../parts/ports.ts";
import { lastLine, run, waitFor } from "../parts/process.ts";
import type { Program, Programs } from "./programs.ts";

/** An API server with everything that acts on what it holds, on 127.0.0.1. Its nodes are kwok's: no container runs. */
export interface ControlPlane {
  /** Runs kubectl; answers what it prints. @throws KubectlError */
  kubectl(args: readonly string[], input?: string): string;
  /** Runs it beside what we do meanwhile. */
  kubectlMeanwhile(args: readonly string[]): Promise<void>;
}

export class KubectlError extends PartFailedError {
  constructor(reason: string) {
    super("kubectl", reason);
  }
}

const READY_MS_MAX = 120_000;
const ENDS_MS_MAX = 20_000;

export async function startControlPlane(
  programs: Programs,
  folder: string,
  lifecycle: Lifecycle,
): Promise<ControlPlane> {
  mkdirSync(folder, { recursive: true });
  const file = (name: string) => join(folder, name);
  const start = starter(programs, folder, lifecycle);
  const [etcd, peer, api] = [await freePort(), await freePort(), await freePort()];
  const [etcdUrl, peerUrl] = [`http://127.0.0.1:${etcd}`, `http://127.0.0.1:${peer}`];
  start("etcd", {
    "data-dir": file("etcd"),
    "listen-client-urls": etcdUrl,
    "advertise-client-urls": etcdUrl,
    "listen-peer-urls": peerUrl,
    "initial-advertise-peer-urls": peerUrl,
    "initial-cluster": `default=${peerUrl}`,
  });
  const token = writeIdentities(file);
  start("kube-apiserver", {
    "etcd-servers": etcdUrl,
    "bind-address": "127.0.0.1",
    "advertise-address": "127.0.0.1",
    "secure-port": api,
    "cert-dir": file("certificates"),
    "service-account-issuer": "https://kubernetes.default.svc",
    "service-account-key-file": file("accounts.key"),
    "service-account-signing-key-file": file("accounts.key"),
    "service-cluster-ip-range": "10.0.0.0/24",
    "authorization-mode": "RBAC",
    "token-auth-file": file("tokens.csv"),
    "endpoint-reconciler-type": "none",
  });
  const ca = file("certificates/apiserver.crt");
  writeFileSync(file("kubeconfig"), kubeconfig(`https://127.0.0.1:${api}`, ca, token), { mode: 0o600 });
  const kubectl = kubectlOf(programs, file("kubeconfig"));
  await ready("kube-apiserver", file, () => kubectl(["get", "--raw", "/readyz"]) === "ok");
  const common = async (name: string) => ({
    kubeconfig: file("kubeconfig"),
    "bind-address": "127.0.0.1",
    "secure-port": await freePort(),
    "cert-dir": file(name),
    "leader-elect": false,
  });
  start("kube-controller-manager", {
    ...(await common("controllers")),
    "service-account-private-key-file": file("accounts.key"),
    "root-ca-file": ca,
  });
  start("kube-scheduler", await common("scheduler"));
  start("kwok", {
    kubeconfig: file("kubeconfig"),
    "manage-all-nodes": true,
    "server-address": `127.0.0.1:${await freePort()}`,
  });
  const kubectlMeanwhile = async (args: readonly string[]) => {
    const all = ["--kubeconfig", file("kubeconfig"), ...args];
    const { code, output } = await run(programs.kubectl, all, { timeoutMs: READY_MS_MAX });
    if (code !== 0) throw new KubectlError(lastLine(output));
  };
  return { kubectl, kubectlMeanwhile };
}

type Options = Readonly<Record<string, string | number | boolean>>;

function starter(programs: Programs, folder: string, lifecycle: Lifecycle) {
  return (name: Program, options: Options): void => {
    const log = openSync(join(folder, `${name}.log`), "a");
    const args = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
    const child = spawn(programs[name], args, { cwd: folder, stdio: ["ignore", log, log] });
    closeSync(log);
    lifecycle.atExit(() => child.kill("SIGKILL"));
    lifecycle.defer(() => end(child));
  };
}

async function end(child: ChildProcess): Promise<void> {
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  child.kill("SIGTERM");
  if (!(await waitFor(ended, ENDS_MS_MAX))) child.kill("SIGKILL");
}

/** Who may do what: one token for us, and the key that signs the tokens of service accounts. */
function writeIdentities(file: (name: string) => string): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  writeFileSync(file("accounts.key"), privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });
  const token = randomBytes(24).toString("base64url");
  writeFileSync(file("tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  return token;
}

/** In JSON, which is YAML too. */
function kubeconfig(server: string, ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "check",
    clusters: [{ name: "check", cluster: { server, "certificate-authority": ca } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "check", context: { cluster: "check", user: "admin" } }],
  });
}

function kubectlOf({ kubectl }: Programs, config: string): ControlPlane["kubectl"] {
  return (args, input) => {
    const all = ["--kubeconfig", config, "--request-timeout=60s", ...args];
    const { status, stdout, stderr } = spawnSync(kubectl, all, { encoding: "utf8", input });
    if (status !== 0) throw new KubectlError(stderr.trim());
    return stdout.trim();
  };
}

async function ready(name: Program, file: (name: string) => string, check: () => boolean): Promise<void> {
  const isReady = () => {
    try {
      return check();
    } catch (error) {
      if (error instanceof KubectlError) return false;
      throw error;
    }
  };
  if (await waitFor(isReady, READY_MS_MAX, 250)) return;
  throw new PartFailedError("kubernetes", `${name}: ${lastLine(readFileSync(file(`${name}.log`), "utf8"))}`);
}
