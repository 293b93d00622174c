import { randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import type { Config } from "../../lib/config.ts";
import { DEMO_CUSTOMERS } from "../../migrations/seeds/demo.ts";

/** Who the ready-made tokens stand for, with the roles of each. */
const people = {
  customer: { sub: DEMO_CUSTOMERS.active, roles: ["customer"] },
  otherCustomer: { sub: DEMO_CUSTOMERS.other, roles: ["customer"] },
  inactiveCustomer: { sub: DEMO_CUSTOMERS.inactive, roles: ["customer"] },
  staff: { sub: "01990000-0000-7000-8000-0000000000e1", roles: ["staff"] },
  operator: { sub: "01990000-0000-7000-8000-0000000000e2", roles: ["operator"] },
  service: { sub: "01990000-0000-7000-8000-0000000000e3", roles: ["service"] },
} as const;

export type Person = keyof typeof people;
export type Tokens = Readonly<Record<Person, string>>;

export interface DemoKeys {
  /** What JWT_KEYS points to: a JWKS with the public key. */
  readonly jwksFile: string;
  readonly privateKey: JWK;
}

/** Where the demo's keys lie, beside its data: made at the first start, and kept for the next ones. */
export function keyFolder(dataDir: string): string {
  const folder = join(dataDir, "demo-keys");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** The demo's own Ed25519 key pair: kept, so that tokens outlive a restart. */
export async function prepareKeys(dataDir: string): Promise<DemoKeys> {
  const folder = keyFolder(dataDir);
  const [privateFile, jwksFile] = [join(folder, "private.json"), join(folder, "jwks.json")];
  if (!existsSync(privateFile)) {
    const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const jwk = await exportJWK(privateKey);
    const kid = (await calculateJwkThumbprint(jwk)).slice(0, 8);
    writeFileSync(privateFile, JSON.stringify({ ...jwk, kid, alg: "EdDSA", use: "sig" }), { mode: 0o600 });
  }
  const privateKey = JSON.parse(readFileSync(privateFile, "utf8")) as JWK;
  const { d: _secret, ...publicKey } = privateKey;
  writeFileSync(jwksFile, JSON.stringify({ keys: [publicKey] }));
  return { jwksFile, privateKey };
}

/** The file with the secret that seals what the processes of the demo send each other. */
export function prepareClusterSecret(dataDir: string): string {
  const file = join(dataDir, "demo-keys", "cluster-secret");
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString("base64url"), { mode: 0o600 });
  return file;
}

/** A token for each of them, good for a day. */
export async function issueTokens(keys: DemoKeys, config: Config): Promise<Tokens> {
  const key = await importJWK(keys.privateKey, "EdDSA");
  const issue = ({ sub, roles }: (typeof people)[Person]) =>
    new SignJWT({ roles })
      .setProtectedHeader({ alg: "EdDSA", kid: keys.privateKey.kid, typ: "JWT" })
      .setSubject(sub)
      .setIssuer(config.JWT_ISSUER)
      .setAudience(config.JWT_AUDIENCE)
      .setJti(randomUUID())
      .setIssuedAt()
      .setNotBefore("0s")
      .setExpirationTime("24h")
      .sign(key);
  const entries = Object.entries(people).map(async ([name, person]) => [name, await issue(person)] as const);
  return Object.fromEntries(await Promise.all(entries)) as Record<Person, string>;
}

/** A file that curl takes as `-H @file`, so that a token need not be pasted. */
export const headerFile = (dataDir: string, person: Person) => join(dataDir, "as", person);

export function writeHeaderFiles(dataDir: string, tokens: Tokens): void {
  mkdirSync(join(dataDir, "as"), { recursive: true, mode: 0o700 });
  for (const person of Object.keys(people) as Person[])
    writeFileSync(headerFile(dataDir, person), `Authorization: Bearer ${tokens[person]}\n`, { mode: 0o600 });
}

export function removeHeaderFiles(dataDir: string): void {
  rmSync(join(dataDir, "as"), { recursive: true, force: true });
}
