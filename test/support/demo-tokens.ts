import { readFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, SignJWT } from "jose";
import type { System } from "./system.ts";

export interface Identity {
  readonly sub: string;
  readonly roles: readonly string[];
  /** Seconds; a minute when left out. */
  readonly expiresIn?: number;
}

/** A token for anybody, signed with the demo's own key. */
export async function tokenOf(
  { dataDir }: System,
  { sub, roles, expiresIn = 60 }: Identity,
): Promise<string> {
  const jwk = JSON.parse(readFileSync(join(dataDir, "demo-keys", "private.json"), "utf8"));
  return new SignJWT({ roles: [...roles] })
    .setProtectedHeader({ alg: "EdDSA", kid: jwk.kid, typ: "JWT" })
    .setSubject(sub)
    .setIssuer("holdfast-demo")
    .setAudience("holdfast")
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresIn)
    .sign(await importJWK(jwk, "EdDSA"));
}
