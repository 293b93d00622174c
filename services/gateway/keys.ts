import { readFile, stat } from "node:fs/promises";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from "jose";
import { ConfigError } from "../../lib/config.ts";

/** A key that was removed at the URL is noticed after this time at the latest. */
const URL_CHECKED_MS = 300_000;
/** Keys that could not be fetched anew for this long are not trusted any more: 503. */
const URL_STALE_MS = 24 * 3_600_000;
/** An unknown key id has the URL asked sooner, but not for each bad token. */
const URL_COOLDOWN_MS = 30_000;
/** A removed or added key in the file is noticed after this time at the latest. */
const FILE_CHECKED_MS = 10_000;
/** An unknown key id has the file looked at sooner, but not for each bad token. */
const FILE_COOLDOWN_MS = 1_000;

/**
 * Opens the key set that tokens are checked against: a JWKS file or an https URL. jose picks the key by the
 * exact key id, and only where the key's own type (and curve, and `alg`) fits the token's algorithm: that pins
 * each key to one algorithm.
 * @throws ConfigError no keys, no public keys, unreadable
 */
export async function openKeys(source: string | undefined): Promise<JWTVerifyGetKey> {
  if (source === undefined) {
    throw new ConfigError(
      "JWT_KEYS",
      "set it to a JWKS file or an https URL: without keys no token can be checked",
    );
  }
  if (/^http:/i.test(source)) throw new ConfigError("JWT_KEYS", "keys are fetched over https only");
  return /^https:/i.test(source) ? openUrl(new URL(source)) : openFile(source);
}

async function openUrl(url: URL): Promise<JWTVerifyGetKey> {
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: 5_000,
    cooldownDuration: URL_COOLDOWN_MS,
    // The age of keys is ours to watch: jose would stop at an outage of their server.
    cacheMaxAge: Number.POSITIVE_INFINITY,
  });
  await keys.reload().catch((cause: unknown) => {
    throw new ConfigError("JWT_KEYS", `${url} cannot be read: ${messageOf(cause)}`);
  });
  assertPublic(url.href, keys.jwks());
  let [fetchedAt, checkedAt] = [performance.now(), performance.now()];
  let refreshing: Promise<void> | undefined;
  const refresh = async () => {
    checkedAt = performance.now();
    try {
      await keys.reload();
      fetchedAt = performance.now();
    } catch (error) {
      if (performance.now() - fetchedAt > URL_STALE_MS) throw error;
    } finally {
      refreshing = undefined;
    }
  };
  return async (header, token) => {
    // Who comes meanwhile waits too: the key that it shows may be the one that was removed.
    if (performance.now() - checkedAt > URL_CHECKED_MS) refreshing = refresh();
    await refreshing;
    return keys(header, token);
  };
}

async function openFile(path: string): Promise<JWTVerifyGetKey> {
  let current = createLocalJWKSet(await readKeys(path));
  let [changedAt, checkedAt] = [await changeTime(path), performance.now()];
  const refresh = async (afterMs: number): Promise<boolean> => {
    if (performance.now() - checkedAt < afterMs) return false;
    checkedAt = performance.now();
    // A file that is away or half-written leaves us with the keys that we have.
    const changed = await changeTime(path).catch(() => changedAt);
    if (changed === changedAt) return false;
    const next = await readKeys(path).catch(() => undefined);
    if (next === undefined) return false;
    [current, changedAt] = [createLocalJWKSet(next), changed];
    return true;
  };
  return async (header, token) => {
    await refresh(FILE_CHECKED_MS);
    try {
      return await current(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey && (await refresh(FILE_COOLDOWN_MS))) {
        return current(header, token);
      }
      throw error;
    }
  };
}

const changeTime = async (path: string) => (await stat(path)).mtimeMs;

async function readKeys(path: string): Promise<JSONWebKeySet> {
  let keys: unknown;
  try {
    keys = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new ConfigError("JWT_KEYS", `${path} cannot be read: ${messageOf(cause)}`);
  }
  assertPublic(path, keys);
  return keys;
}

/** A private or a shared key in this place means that somebody has given away what signs the tokens. */
function assertPublic(source: string, keys: unknown): asserts keys is JSONWebKeySet {
  const list = typeof keys === "object" && keys !== null && "keys" in keys ? keys.keys : undefined;
  if (!Array.isArray(list) || list.length === 0) throw new ConfigError("JWT_KEYS", `${source} holds no keys`);
  const secret = list.some((key) => typeof key !== "object" || key === null || "d" in key || "k" in key);
  if (secret) throw new ConfigError("JWT_KEYS", `${source} must hold public keys only`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
