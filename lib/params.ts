import { CIPHERTEXT } from "./personal-data/personal-data.ts";

/** Parameter rules that several actions share (fastest-validator). */

export const uuid = { type: "string", pattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ } as const;

export const LINES_MAX = 100;
export const QUANTITY_MAX = 1_000_000;

export const quantity = { type: "number", integer: true, min: 1, max: QUANTITY_MAX } as const;

export const lines = {
  type: "array",
  min: 1,
  max: LINES_MAX,
  items: { type: "object", strict: true, props: { productId: uuid, quantity } },
} as const;

export const reason = {
  type: "object",
  strict: true,
  props: { code: { type: "string", max: 64 }, message: { type: "string", max: 1_000 } },
} as const;

/** Personal data, which travels and is stored in no other form. */
export const ciphertext = { type: "string", pattern: CIPHERTEXT, max: 8_000 } as const;

export const claimRules = {
  type: "object",
  props: { subject: "string", key: "string", operation: "string", requestHash: "string" },
} as const;

/** Most units of a product in stock, and the highest price in minor units: their sums stay exact. */
export const UNITS_MAX = 1_000_000_000_000;

/** Who asks, for the trail: the subject of a token. */
export const actor = { type: "string", min: 1, max: 100 } as const;

/** Why an operator or staff does something by hand. */
export const deedReason = { type: "string", min: 3, max: 1_000 } as const;

export const limit = { type: "number", integer: true, min: 1, max: 100, optional: true } as const;
export const cursor = { type: "string", max: 200, optional: true } as const;
