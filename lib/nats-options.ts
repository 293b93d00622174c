import { createRequire } from "node:module";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import type { Authenticator, ConnectionOptions } from "nats";
import { type Config, ConfigError } from "./config.ts";
import { readTlsFiles } from "./tls.ts";

/** How nats.js is to reach the servers of TRANSPORTER, and who we are to them. @throws ConfigError */
export function natsOptions(
  config: Config,
): Pick<ConnectionOptions, "tls" | "authenticator"> & { servers: string[] } {
  const urls = (config.TRANSPORTER ?? "").split(",").map((url) => new URL(url));
  const files = readTlsFiles(config, "NATS");
  const encrypted = urls[0]?.protocol === "tls:";
  if (!encrypted && Object.keys(files).length > 0) {
    const problem = "begin it with tls://, or leave NATS_CA, NATS_CERT and NATS_KEY out";
    throw new ConfigError("TRANSPORTER", problem);
  }
  const authenticator = authenticatorOf(config, urls);
  return {
    servers: urls.map(({ host }) => host),
    ...(encrypted && { tls: { ...files, ...identityCheck(urls) } }),
    ...(authenticator && { authenticator }),
  };
}

/**
 * nats.js does not tell Node which address it has connected to, and Node then checks the certificate for "localhost".
 * For servers that are named by their addresses we look for one of these in it.
 */
function identityCheck(urls: readonly URL[]): object {
  const hosts = urls.map(({ hostname }) => hostname);
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  if (addresses.length === 0 || hosts.includes("localhost")) return {};
  return {
    checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined {
      if (host !== "localhost") return checkServerIdentity(host, certificate);
      const problems = addresses.map((one) => checkServerIdentity(one, certificate));
      return problems.includes(undefined) ? undefined : problems[0];
    },
  };
}

function authenticatorOf(config: Config, urls: readonly URL[]): Authenticator | undefined {
  const { NATS_TOKEN: token, NATS_CREDS: creds } = config;
  const { username = "", password: word = "" } = urls.find((url) => url.username !== "") ?? {};
  const user = config.NATS_USER ?? (decodeURIComponent(username) || undefined);
  const password = config.NATS_PASSWORD ?? (decodeURIComponent(word) || undefined);
  if ([user, token, creds].filter((given) => given !== undefined).length > 1)
    throw new ConfigError("NATS_USER", "of a user, NATS_TOKEN and NATS_CREDS only one can hold");
  if (password !== undefined && user === undefined)
    throw new ConfigError("NATS_USER", "set it too: NATS_PASSWORD is its password");
  // Loaded where it is needed: one process alone does not need NATS.
  const nats = () => createRequire(import.meta.url)("nats") as typeof import("nats");
  if (user !== undefined) return nats().usernamePasswordAuthenticator(user, password);
  if (token !== undefined) return nats().tokenAuthenticator(token);
  if (creds !== undefined) return nats().credsAuthenticator(new TextEncoder().encode(creds));
  return undefined;
}
