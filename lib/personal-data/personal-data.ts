import { createHmac } from "node:crypto";
import { decryptBytes, encryptBytes } from "./aes-gcm.ts";
import { createDataKeys, type DataKeyLimits } from "./data-keys.ts";
import { PersonalDataInvalidError } from "./errors.ts";
import type { KeyRing } from "./key-ring.ts";

/**
 * An encrypted text. It carries its data key, wrapped by a key of the ring, so that any process with the ring can
 * read it, and exchanging the ring's keys is exchanging the wrapping:
 *
 *     p1.<key id>.<wrapped data key>.<nonce, tag and ciphertext>     the last two in base64url
 */
export type Ciphertext = string;

/** 60 bytes of wrapped data key; at least the nonce and the tag of an empty text. */
export const CIPHERTEXT = /^p1\.[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]{80}\.[A-Za-z0-9_-]{38,}$/;

export const isCiphertext = (text: string): boolean => CIPHERTEXT.test(text);

export type PersonalColumn = "customers.name" | "customers.email" | "orders.shipping_address";

/** Whose data it is, authenticated with it: a ciphertext that is moved to another row or column cannot be read there. */
export interface Place {
  readonly column: PersonalColumn;
  readonly rowId: string;
}

/**
 * Encrypts personal data where it enters, the gateway, and decrypts it where it leaves; whatever stands between
 * handles ciphertexts. Envelope encryption with AES-256-GCM.
 */
export interface PersonalData {
  encrypt(place: Place, text: string): Ciphertext;
  /** @throws PersonalDataKeyMissingError; PersonalDataInvalidError it was altered, or is another place's */
  decrypt(place: Place, ciphertext: Ciphertext): string;
  /** The same under the ring's primary key; undefined when it is that already. @throws as `decrypt` */
  rewrap(ciphertext: Ciphertext): Ciphertext | undefined;
  /** Equal for equal texts of a column; says nothing else of them to whoever lacks the key. */
  blindIndex(column: PersonalColumn, text: string): string;
}

/** Blind index of an e-mail address: equal for those that differ only in what no mail server looks at. */
export function emailIndexOf(personalData: PersonalData, email: string): string {
  return personalData.blindIndex("customers.email", email.normalize("NFKC").toLowerCase());
}

export function createPersonalData(ring: KeyRing, limits?: DataKeyLimits): PersonalData {
  const dataKeys = createDataKeys(ring, limits);
  return {
    encrypt(place, text) {
      const { keyId, wrapped, key } = dataKeys.current();
      const encrypted = encryptBytes(key, Buffer.from(text), aboutPlace(place));
      return `p1.${keyId}.${wrapped}.${encrypted.toString("base64url")}`;
    },
    decrypt(place, ciphertext) {
      const { keyId, wrapped, encrypted } = partsOf(ciphertext);
      const key = dataKeys.unwrap(keyId, wrapped);
      try {
        return decryptBytes(key, Buffer.from(encrypted, "base64url"), aboutPlace(place)).toString();
      } catch (cause) {
        throw new PersonalDataInvalidError(`${place.column} of ${place.rowId}`, { cause });
      }
    },
    rewrap(ciphertext) {
      const { keyId, wrapped, encrypted } = partsOf(ciphertext);
      if (keyId === ring.primary) return undefined;
      return `p1.${ring.primary}.${dataKeys.wrap(dataKeys.unwrap(keyId, wrapped))}.${encrypted}`;
    },
    blindIndex: (column, text) =>
      createHmac("sha256", ring.index).update(`${column}|${text}`).digest("base64url"),
  };
}

/** @throws PersonalDataInvalidError */
function partsOf(ciphertext: Ciphertext) {
  const [version, keyId, wrapped, encrypted, ...rest] = ciphertext.split(".");
  if (version !== "p1" || !keyId || !wrapped || !encrypted || rest.length > 0) {
    throw new PersonalDataInvalidError("a row that holds no ciphertext");
  }
  return { keyId, wrapped, encrypted };
}

function aboutPlace({ column, rowId }: Place): string {
  return `${column}|${rowId}`;
}
