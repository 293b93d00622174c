import { Errors } from "moleculer";

/** 503: this process' key ring lacks the key. Another process', in the middle of a rotation, may have it. */
export class PersonalDataKeyMissingError extends Errors.MoleculerRetryableError {
  constructor(keyId: string) {
    super(`The key ring has no key "${keyId}".`, 503, "PERSONAL_DATA_KEY_MISSING", { keyId });
  }
}

/** 500: what is stored is no ciphertext of this place: it was altered, or moved there from elsewhere. */
export class PersonalDataInvalidError extends Errors.MoleculerServerError {
  constructor(where: string, options: { cause?: unknown } = {}) {
    super(`The personal data of ${where} cannot be decrypted.`, 500, "PERSONAL_DATA_INVALID", { where });
    this.cause = options.cause;
  }
}

/** Repeating will not help: the key or the ciphertext is not there. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof PersonalDataKeyMissingError || error instanceof PersonalDataInvalidError;
}
