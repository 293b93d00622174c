import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { decryptBytes, encryptBytes } from "./aes-gcm.ts";
import { PersonalDataInvalidError, PersonalDataKeyMissingError } from "./errors.ts";
import { KEY_BYTES, type KeyRing } from "./key-ring.ts";

export interface DataKeyLimits {
  /** Then a new data key is made: how much one that leaks gives away. Random nonces are safe up to 2^32. */
  readonly encryptionsMax?: number;
  readonly ageMsMax?: number;
  /** Unwrapped data keys that are remembered. */
  readonly cacheSizeMax?: number;
}

interface DataKey {
  readonly keyId: string;
  /** The data key, encrypted with the ring's key of that id; base64url. */
  readonly wrapped: string;
  readonly key: KeyObject;
}

/** Data keys: made here, used for some time, and found again in the ciphertexts that carry them. */
export interface DataKeys {
  /** The one to encrypt with now. */
  current(): DataKey;
  /** Wraps a data key with the primary key. */
  wrap(key: KeyObject): string;
  /** @throws PersonalDataKeyMissingError, PersonalDataInvalidError */
  unwrap(keyId: string, wrapped: string): KeyObject;
}

export function createDataKeys(ring: KeyRing, limits: DataKeyLimits = {}): DataKeys {
  const { encryptionsMax = 1_000_000, ageMsMax = 3_600_000, cacheSizeMax = 10_000 } = limits;
  const known = new Map<string, KeyObject>();
  let current: DataKey | undefined;
  let madeAt = 0;
  let encryptions = 0;

  const keyEncryptionKey = (keyId: string) => {
    const key = ring.keys.get(keyId);
    if (key === undefined) throw new PersonalDataKeyMissingError(keyId);
    return key;
  };
  const remember = (keyId: string, wrapped: string, key: KeyObject) => {
    const oldest = known.keys().next().value;
    if (known.size >= cacheSizeMax && oldest !== undefined) known.delete(oldest);
    known.set(`${keyId}.${wrapped}`, key);
  };
  const wrap = (key: KeyObject) => {
    const { primary } = ring;
    return encryptBytes(keyEncryptionKey(primary), key.export(), aboutKey(primary)).toString("base64url");
  };
  return {
    wrap,
    current() {
      encryptions += 1;
      if (current && encryptions <= encryptionsMax && performance.now() - madeAt < ageMsMax) return current;
      const key = createSecretKey(randomBytes(KEY_BYTES));
      current = { keyId: ring.primary, wrapped: wrap(key), key };
      remember(current.keyId, current.wrapped, key);
      [madeAt, encryptions] = [performance.now(), 1];
      return current;
    },
    unwrap(keyId, wrapped) {
      const found = known.get(`${keyId}.${wrapped}`);
      if (found) return found;
      try {
        const bytes = decryptBytes(
          keyEncryptionKey(keyId),
          Buffer.from(wrapped, "base64url"),
          aboutKey(keyId),
        );
        const key = createSecretKey(bytes);
        remember(keyId, wrapped, key);
        return key;
      } catch (cause) {
        if (cause instanceof PersonalDataKeyMissingError) throw cause;
        throw new PersonalDataInvalidError(`a row under the key "${keyId}"`, { cause });
      }
    },
  };
}

/** Authenticated with a wrapped key: it is of no use under another id. */
function aboutKey(keyId: string): string {
  return `data key|${keyId}`;
}
