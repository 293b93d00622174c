import {
  type CryptoKey,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
} from "jose";

type Key = CryptoKey | Uint8Array;

interface Header {
  readonly alg: string;
  readonly kid: string | undefined;
}

/** Of whom the forger would like to be: every role, so that whatever gets through gets through everywhere. */
export interface Pretence {
  readonly subject: string;
  readonly issuer: string;
  readonly audience: string;
}

const HOUR = 3_600;

/**
 * Bearer tokens of somebody who has every role, each false in one way, all else being right. `genuine` is false in
 * none and `without roles` has none. The key is the issuer's private one: what it signs is not false for its signature.
 */
export async function forgeTokens(key: JWK, pretence: Pretence): Promise<Readonly<Record<string, string>>> {
  const alg = key.alg ?? "EdDSA";
  const header = { alg, kid: key.kid };
  const now = Math.floor(Date.now() / 1_000);
  const claims: JWTPayload = {
    sub: pretence.subject,
    roles: ["customer", "staff", "operator", "service"],
    iss: pretence.issuer,
    aud: pretence.audience,
    iat: now,
    nbf: now,
    exp: now + HOUR,
  };
  const own = await importJWK(key, alg);
  const { d: _secret, ...publicJwk } = key;
  const publicKey = await importJWK(publicJwk, alg, { extractable: true });
  if (publicKey instanceof Uint8Array) throw new Error("not an asymmetric key");
  const foreign = await generateKeyPair(alg);
  const withHmac = (secret: string) =>
    sign(claims, { ...header, alg: "HS256" }, new TextEncoder().encode(secret));
  return {
    genuine: await sign(claims, header, own),
    "without roles": await sign({ ...claims, roles: [] }, header, own),
    expired: await sign({ ...claims, exp: now - HOUR }, header, own),
    "not valid yet": await sign({ ...claims, nbf: now + HOUR }, header, own),
    "without an end": await sign({ ...claims, exp: undefined }, header, own),
    "of another issuer": await sign({ ...claims, iss: "somebody" }, header, own),
    "for another audience": await sign({ ...claims, aud: "somewhere" }, header, own),
    "signed with another key": await sign(claims, header, foreign.privateKey),
    "HS256 with the public key as PEM": await withHmac(await exportSPKI(publicKey)),
    "HS256 with the public key as JWK": await withHmac(JSON.stringify(publicJwk)),
    "alg none": `${encode({ ...header, alg: "none" })}.${encode(claims)}.`,
    "alg none with a signature": `${encode({ ...header, alg: "none" })}.${encode(claims)}.AAAA`,
  };
}

function sign(claims: JWTPayload, header: Header, key: Key): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ ...header, typ: "JWT" }).sign(key);
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
