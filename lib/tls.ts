import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Config, ConfigError } from "./config.ts";

/** What is reached over TLS, and the setting that has its address. */
const ADDRESSES = { DATABASE: "DATABASE_URL", NATS: "TRANSPORTER", KAFKA: "KAFKA_BROKERS" } as const;
export type TlsPart = keyof typeof ADDRESSES;

/** In PEM: who vouches for the server (left out: the authorities that Node comes with), and who we are to it. */
export interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

type FileSetting = `${TlsPart}_${"CA" | "CERT" | "KEY"}` | "TLS_CERT" | "TLS_KEY";

/** The files of the settings <part>_CA, <part>_CERT and <part>_KEY. @throws ConfigError */
export function readTlsFiles(config: Config, part: TlsPart): TlsFiles {
  const ca = config[`${part}_CA`];
  return {
    ...(ca !== undefined && { ca: readPem(`${part}_CA`, ca) }),
    ...readPair(config, `${part}_CERT`, `${part}_KEY`),
  };
}

/** A certificate and its key, or neither. @throws ConfigError */
export function readPair(
  config: Config,
  certSetting: FileSetting,
  keySetting: FileSetting,
): { cert: string; key: string } | undefined {
  const [certFile, keyFile] = [config[certSetting], config[keySetting]];
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined) throw new ConfigError(certSetting, `set it too: ${keySetting} is its key`);
  if (keyFile === undefined) throw new ConfigError(keySetting, `set it too: it is the key of ${certSetting}`);
  const cert = readPem(certSetting, certFile);
  const key = read(keySetting, keyFile);
  const fits = attempt(keySetting, `${keyFile} holds no key`, () =>
    new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)),
  );
  if (!fits) throw new ConfigError(keySetting, `${keyFile} is not the key of ${certFile}`);
  return { cert, key };
}

function readPem(setting: FileSetting, file: string): string {
  const pem = read(setting, file);
  attempt(setting, `${file} holds no certificate`, () => new X509Certificate(pem));
  return pem;
}

const read = (setting: FileSetting, file: string) =>
  attempt(setting, `${file} cannot be read`, () => readFileSync(file, "utf8"));

function attempt<Result>(setting: string, problem: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    // The message of a key's parser says nothing of the key.
    throw new ConfigError(setting, `${problem}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** What a connection's failure says of the settings; undefined when it may pass, or has another reason. */
export function tlsProblemOf(error: unknown, part: TlsPart): ConfigError | undefined {
  for (const { code, message } of chainOf(error)) {
    const found = PROBLEMS.find(({ matches }) => matches.test(code) || matches.test(message));
    if (found !== undefined) return new ConfigError(found.setting(part), found.problem);
  }
  return undefined;
}

const BROKEN = /ECONNRESET|EPIPE|ECONNABORTED|CONNECTION_CLOSED|^DISCONNECT$|terminated unexpectedly/;

/** Whether the connection ended without a word of why. */
export function hasBroken(error: unknown): boolean {
  return [...chainOf(error)].some(({ code, message }) => BROKEN.test(code) || BROKEN.test(message));
}

const ca = (part: TlsPart) => `${part}_CA`;
const cert = (part: TlsPart) => `${part}_CERT`;
const address = (part: TlsPart) => ADDRESSES[part];
/** For the database, the user stands in the URL. */
const user = (part: TlsPart) => (part === "DATABASE" ? ADDRESSES.DATABASE : `${part}_USER`);

/** Codes of OpenSSL and Node; where there is none, what PostgreSQL, NATS, Kafka and their clients say. */
const PROBLEMS = [
  {
    matches: /SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_VERIFY_LEAF|self.signed certificate/,
    setting: ca,
    problem: "the server's certificate is not from an authority that we know",
  },
  {
    matches: /CERT_SIGNATURE_FAILURE/,
    setting: ca,
    problem: "the server's certificate was not signed by the authority of that name that we know",
  },
  {
    matches: /CERT_HAS_EXPIRED|certificate has expired/,
    setting: address,
    problem: "the server's certificate has expired",
  },
  {
    matches: /CERT_NOT_YET_VALID|certificate is not yet valid/,
    setting: address,
    problem: "the server's certificate is not valid yet",
  },
  {
    matches: /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames/,
    setting: address,
    problem: "the server's certificate is not for the name that it is addressed by",
  },
  {
    matches: /server does not support SSL|ERR_SSL_WRONG_VERSION_NUMBER|SERVER_OPT_NA/,
    setting: address,
    problem: "the server does not speak TLS there",
  },
  {
    matches: /secure_connection_required|SECURE_CONN_REQ/i,
    setting: address,
    problem: "the server takes encrypted connections only",
  },
  {
    matches:
      /ALERT_CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA|valid client certificate/i,
    setting: cert,
    problem:
      "the server asks for a client certificate, and ours is missing or not from an authority it knows",
  },
  {
    matches: /^28P01$|^28000$|AUTHORIZATION_VIOLATION|SASL .*authentication failed|SASLAuthentication/i,
    setting: user,
    problem: "the server does not let us in under this name",
  },
] as const;

/** The error and what it came from, as far as anybody says. */
function* chainOf(error: unknown): Generator<{ code: string; message: string }> {
  const waiting: unknown[] = [error];
  for (let seen = 0; waiting.length > 0 && seen < 20; seen += 1) {
    const one = waiting.shift();
    if (typeof one !== "object" || one === null) continue;
    const field = (name: string): unknown => Reflect.get(one, name);
    yield { code: String(field("code") ?? field("type") ?? ""), message: String(field("message") ?? "") };
    waiting.push(field("cause"), field("chainedError"), field("originalError"));
    const errors = field("errors");
    if (Array.isArray(errors)) waiting.push(...errors);
  }
}
