import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type CryptoKey,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
} from "jose";
import { loadConfig } from "../../lib/config.ts";

type Key = CryptoKey | Uint8Array;

interface Header {
  readonly alg: string;
  readonly kid: string | undefined;
}

const HOUR = 3_600;

/** The private key of a running demo's issuer: what it signs is not false for its signature. */
export function demoKey(dataDir: string): JWK {
  return JSON.parse(readFileSync(join(dataDir, "demo-keys", "private.json"), "utf8"));
}

/** What a demo's token says of somebody who has every role, whatever gets through gets through everywhere. */
function claimsOf(changes: JWTPayload): JWTPayload {
  const { JWT_ISSUER: iss, JWT_AUDIENCE: aud } = loadConfig({});
  const now = Math.floor(Date.now() / 1_000);
  const roles = ["customer", "staff", "operator", "service"];
  return { roles, iss, aud, iat: now, nbf: now, exp: now + HOUR, ...changes };
}

/** A token as its issuer would sign it. */
export async function genuineToken(key: JWK, changes: JWTPayload): Promise<string> {
  return sign(claimsOf(changes), headerOf(key), await importJWK(key, headerOf(key).alg));
}

/**
 * Tokens of that subject, each false in one way, all else being right. `genuine` is false in none, and `without
 * roles` has none.
 */
export async function forgeTokens(key: JWK, sub: string): Promise<Readonly<Record<string, string>>> {
  const header = headerOf(key);
  const { alg } = header;
  const claims = claimsOf({ sub });
  const now = claims.iat ?? 0;
  const signed = (changes: JWTPayload) => genuineToken(key, { ...claims, ...changes });
  const { d: _secret, ...publicJwk } = key;
  const publicKey = await importJWK(publicJwk, alg, { extractable: true });
  if (publicKey instanceof Uint8Array) throw new Error("not an asymmetric key");
  const foreign = await generateKeyPair(alg);
  const withHmac = (secret: string) =>
    sign(claims, { ...header, alg: "HS256" }, new TextEncoder().encode(secret));
  return {
    genuine: await signed({}),
    "without roles": await signed({ roles: [] }),
    expired: await signed({ exp: now - HOUR }),
    "not valid yet": await signed({ nbf: now + HOUR }),
    "without an end": await signed({ exp: undefined }),
    "of another issuer": await signed({ iss: "somebody" }),
    "for another audience": await signed({ aud: "somewhere" }),
    "signed with another key": await sign(claims, header, foreign.privateKey),
    "HS256 with the public key as PEM": await withHmac(await exportSPKI(publicKey)),
    "HS256 with the public key as JWK": await withHmac(JSON.stringify(publicJwk)),
    "alg none": `${encode({ ...header, alg: "none" })}.${encode(claims)}.`,
    "alg none with a signature": `${encode({ ...header, alg: "none" })}.${encode(claims)}.AAAA`,
  };
}

const headerOf = ({ alg = "EdDSA", kid }: JWK): Header => ({ alg, kid });

function sign(claims: JWTPayload, header: Header, key: Key): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ ...header, typ: "JWT" }).sign(key);
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
