import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ConfigError } from "../config.ts";

/**
 * The keys of personal data: a file, or its JSON itself in the setting.
 * {"primary": "2026-01", "keys": {"2026-01": "<32 bytes, base64url>"}, "index": "<32 bytes, base64url>"}
 */
export interface KeyRing {
  /** Of the key-encryption key that new data keys are wrapped with. */
  readonly primary: string;
  /** Key-encryption keys by their ids: also those that are on their way in or out. */
  readonly keys: ReadonlyMap<string, KeyObject>;
  /** Of the blind index. Apart from the others, because it outlives them. */
  readonly index: KeyObject;
}

const SETTING = "PERSONAL_DATA_KEYS";
export const KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;

/** Reads the key ring. @throws ConfigError none is given, it cannot be read, or it is not one */
export async function openKeyRing(source: string | undefined): Promise<KeyRing> {
  if (source === undefined) {
    throw new ConfigError(
      SETTING,
      "set it to a key ring (docs/privacy.md): personal data is stored encrypted only",
    );
  }
  if (source.trimStart().startsWith("{")) return parseKeyRing(source, "the key ring");
  const text = await readFile(source, "utf8").catch((cause: unknown) => {
    throw new ConfigError(
      SETTING,
      `${source} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  });
  return parseKeyRing(text, source);
}

/** The text of a new key ring, with one key. */
export function newKeyRing(keyId: string): string {
  const key = () => randomBytes(KEY_BYTES).toString("base64url");
  return JSON.stringify({ primary: keyId, keys: { [keyId]: key() }, index: key() }, null, 2);
}

/** @throws ConfigError says what is wrong, and never quotes the text: it holds keys */
export function parseKeyRing(text: string, source: string): KeyRing {
  const refuse = (problem: string) => new ConfigError(SETTING, `${source} ${problem}`);
  const ring = fieldsOf(parsed(text));
  if (ring === undefined) throw refuse("is not a JSON object");
  const keys = new Map<string, KeyObject>();
  for (const [id, key] of Object.entries(fieldsOf(ring.keys) ?? {})) {
    if (!KEY_ID.test(id)) throw refuse("has a key id that is not 1 to 32 of A-Z a-z 0-9 _ -");
    keys.set(id, keyOf(key) ?? fail(refuse(`has a key "${id}" that is not ${KEY_BYTES} bytes in base64url`)));
  }
  const index = keyOf(ring.index) ?? fail(refuse(`has no "index" of ${KEY_BYTES} bytes in base64url`));
  const { primary } = ring;
  if (typeof primary !== "string" || !keys.has(primary)) throw refuse('names no "primary" among its "keys"');
  if ([...keys.values()].some((key) => key.equals(index)))
    throw refuse('uses one key as "index" and in "keys"');
  return { primary, keys, index };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes what it could not read.
    return undefined;
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

function keyOf(value: unknown): KeyObject | undefined {
  if (typeof value !== "string" || !/^[A-Za-z0-9_-]{43}=?$/.test(value)) return undefined;
  return createSecretKey(Buffer.from(value, "base64url"));
}

function fail(error: Error): never {
  throw error;
}
