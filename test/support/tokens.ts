import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

export interface Claims {
  readonly sub?: string;
  readonly roles?: readonly string[];
  readonly iss?: string;
  readonly aud?: string;
  /** Seconds from now; null leaves `exp` out. */
  readonly expiresIn?: number | null;
  /** Seconds from now. */
  readonly notBefore?: number;
  readonly ver?: unknown;
}

export interface TestKey {
  readonly jwk: JWK;
  sign(claims?: Claims): Promise<string>;
}

export const ISSUER = "test-issuer";
export const AUDIENCE = "test-audience";
export const CUSTOMER = "01990000-0000-7000-8000-0000000000c1";
export const OTHER_CUSTOMER = "01990000-0000-7000-8000-0000000000c2";
export const STAFF = "01990000-0000-7000-8000-0000000000e1";

/** A key pair of an identity provider: its public half, and tokens signed with the other one. */
export async function makeKey(kid: string, alg = "EdDSA"): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: "sig" };
  return {
    jwk,
    sign({
      sub = CUSTOMER,
      roles = ["customer"],
      iss = ISSUER,
      aud = AUDIENCE,
      expiresIn = 600,
      notBefore,
      ver,
    }: Claims = {}) {
      const token = new SignJWT({ roles, ...(ver !== undefined && { ver }) })
        .setProtectedHeader({ alg, kid, typ: "JWT" })
        .setIssuedAt();
      token.setSubject(sub).setIssuer(iss).setAudience(aud);
      const now = Math.floor(Date.now() / 1_000);
      if (expiresIn !== null) token.setExpirationTime(now + expiresIn);
      if (notBefore !== undefined) token.setNotBefore(now + notBefore);
      return token.sign(privateKey);
    },
  };
}

/** A JWKS file with these keys. */
export function writeKeys(
  keys: readonly object[],
  file = join(mkdtempSync(join(tmpdir(), "jwks-")), "jwks.json"),
): string {
  writeFileSync(file, JSON.stringify({ keys }));
  return file;
}
