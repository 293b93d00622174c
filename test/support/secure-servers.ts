import { chownSync, mkdtempSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../../lib/config.ts";
import { checkConnections } from "../../lib/connections.middleware.ts";
import type { PostgresPart } from "../../scripts/parts/postgres.ts";
import {
  type Authority,
  type Certificate,
  type CertificateOptions,
  createAuthority,
} from "./certificates.ts";
import { run } from "./service-database.ts";
import { until } from "./until.ts";

/** The files of a test that has certificates. */
export interface Papers {
  readonly authority: Authority;
  /** Its file, and that of another one. */
  readonly ca: string;
  readonly strangers: string;
  /** Client certificates: one of the authority, and one of another. */
  readonly ours: CertificateFiles;
  readonly theirs: CertificateFiles;
  /** Writes one under a new name. */
  file(text: string): string;
  /** Of the authority, as files. */
  issue(options: CertificateOptions): CertificateFiles;
}

interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** What a process with these settings says of its connections before it starts. */
export async function looking(env: NodeJS.ProcessEnv): Promise<void> {
  const broker = new ServiceBroker({ logger: false });
  await checkConnections(loadConfig({ SERVICES: "customer", ...env })).starting?.(broker);
}

export const refusedBy = (setting: string) => ({ type: "CONFIG_INVALID", setting });

export function makePapers(): Papers {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-papers-"));
  const authority = createAuthority();
  let count = 0;
  const file = (text: string) => {
    count += 1;
    const path = join(folder, `${count}.pem`);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const files = ({ cert, key }: Certificate) => ({ cert: file(cert), key: file(key) });
  const other = createAuthority("Another authority");
  return {
    authority,
    ca: file(authority.cert),
    strangers: file(other.cert),
    ours: files(authority.issue({ name: "a service of ours" })),
    theirs: files(other.issue({ name: "somebody" })),
    file,
    issue: (options) => files(authority.issue(options)),
  };
}

/** Has a running PostgreSQL show this certificate to whoever connects from now on, and turn away who does not use TLS. */
export async function securePostgres(
  part: PostgresPart,
  dataDir: string,
  { cert, key }: Certificate,
  clientAuthority?: string,
): Promise<void> {
  const cluster = join(dataDir, "cluster");
  const { uid, gid } = statSync(cluster);
  const write = (name: string, text: string) => {
    const path = join(cluster, name);
    writeFileSync(path, text, { mode: 0o600 });
    chownSync(path, uid, gid);
    return path;
  };
  const settings = {
    ssl_cert_file: write("server.crt", cert),
    ssl_key_file: write("server.key", key),
    ssl_ca_file: clientAuthority === undefined ? "" : write("clients.crt", clientAuthority),
    ssl: "on",
  };
  const clientCert = clientAuthority === undefined ? "" : " clientcert=verify-ca";
  // By the socket everybody is let in as before: that is how the tests get at it.
  write("pg_hba.conf", `local all all trust\nhostssl all all 127.0.0.1/32 trust${clientCert}\n`);
  const url = part.localUrlOf("postgres");
  for (const [name, value] of Object.entries(settings))
    await run(url, `alter system set ${name} = '${value}'`);
  const [before] = await run<{ at: string }>(url, "select pg_conf_load_time()::text as at");
  await run(url, "select pg_reload_conf()");
  await until("PostgreSQL has its new settings", async () => {
    const [now] = await run<{ at: string }>(url, "select pg_conf_load_time()::text as at");
    return now?.at !== before?.at;
  });
}
