import { hash } from "node:crypto";
import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { KeysUnavailableError, UnauthenticatedError } from "./refusals.ts";

export const ROLES = ["customer", "staff", "operator", "service"] as const;
export type Role = (typeof ROLES)[number];

/** Who asks. */
export interface Principal {
  /** `sub`: of a customer, the customer id. */
  readonly subject: string;
  readonly roles: readonly Role[];
}

export interface VerifierOptions {
  readonly keys: JWTVerifyGetKey;
  readonly issuer: string;
  readonly audience: string;
  readonly skewSeconds: number;
  /** Asked of every request, so it may not take long. */
  readonly isRevoked: (subject: string, version: number) => boolean;
  readonly cacheSizeMax?: number;
}

/** Answers whose token it is. @throws UnauthenticatedError, KeysUnavailableError */
export type Verifier = (authorization: string | undefined) => Principal | Promise<Principal>;

interface Known {
  readonly principal: Principal;
  /** `ver`: which generation of the subject's tokens it is of; the first is 0. */
  readonly version: number;
  readonly untilMs: number;
}

/** Also the longest that a token outlives the removal of its key. */
const CACHED_MS = 60_000;
/** Not of jose, or of jose about the key set: away, silent, or not readable. */
const KEY_SET_FAILURES: ReadonlySet<string> = new Set([
  "",
  errors.JWKSTimeout.code,
  errors.JWKSInvalid.code,
  errors.JOSEError.code,
]);
const BEARER = /^bearer +([\w-]+\.[\w-]+\.[\w-]+) *$/i;
const SUBJECT = /^[\x21-\x7e]{1,64}$/;

/**
 * A verifier of bearer tokens. Checking a signature takes some 100 us on another thread, more than all the rest of a
 * request, so that a token found good is remembered by its hash (0.6 us) until it expires, a minute at most.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { keys, issuer, audience, skewSeconds, isRevoked, cacheSizeMax = 10_000 } = options;
  const cache = new Map<string, Known>();

  const verify = async (token: string, id: string): Promise<Principal> => {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ["EdDSA", "ES256", "RS256"],
      issuer,
      audience,
      requiredClaims: ["sub", "exp"],
      clockTolerance: skewSeconds,
    }).catch((error: unknown) => {
      throw refusalOf(error);
    });
    const now = Date.now();
    const known = {
      principal: principalOf(payload),
      version: versionOf(payload),
      untilMs: Math.min(now + CACHED_MS, (payload.exp ?? 0) * 1_000),
    };
    const oldest = cache.keys().next().value;
    if (cache.size >= cacheSizeMax && oldest !== undefined) cache.delete(oldest);
    cache.set(id, known);
    return unlessRevoked(known);
  };

  const unlessRevoked = ({ principal, version }: Known): Principal => {
    if (!isRevoked(principal.subject, version)) return principal;
    throw new UnauthenticatedError("The token has been revoked.", { tokenGiven: true });
  };

  return (authorization) => {
    if (authorization === undefined)
      throw new UnauthenticatedError("Send a bearer token.", { tokenGiven: false });
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) throw invalidToken();
    const id = hash("sha256", token, "base64");
    const cached = cache.get(id);
    if (cached === undefined) return verify(token, id);
    cache.delete(id);
    if (cached.untilMs <= Date.now()) return verify(token, id);
    // Back in at the young end: what goes when the cache is full is the token longest unused.
    cache.set(id, cached);
    return unlessRevoked(cached);
  };
}

function principalOf({ sub, roles }: JWTPayload): Principal {
  if (sub === undefined || !SUBJECT.test(sub)) throw invalidToken();
  const given: unknown[] = Array.isArray(roles) ? roles : [];
  return { subject: sub, roles: ROLES.filter((role) => given.includes(role)) };
}

function versionOf({ ver = 0 }: JWTPayload): number {
  if (typeof ver !== "number" || !Number.isSafeInteger(ver)) throw invalidToken();
  return ver;
}

function invalidToken(): UnauthenticatedError {
  return new UnauthenticatedError("The token is not valid.", { tokenGiven: true });
}

/** That a key set cannot be fetched is no fault of the token. */
function refusalOf(error: unknown): Error {
  if (error instanceof errors.JWTExpired) {
    return new UnauthenticatedError("The token has expired.", { tokenGiven: true });
  }
  const { code = "" } = error instanceof errors.JOSEError ? error : {};
  return KEY_SET_FAILURES.has(code) ? new KeysUnavailableError({ cause: error }) : invalidToken();
}
