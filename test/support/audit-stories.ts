import { uuid } from "./audit-tables.ts";

/** Six orders in six situations. */

export const ID = {
  nails: uuid(0xa1),
  lamps: uuid(0xa2),
  customer: uuid(0xc1),
  /** Waits for its payment. */
  created: uuid(0x01),
  paid: uuid(0x02),
  /** There was no stock for it. */
  refused: uuid(0x03),
  /** Was paid, and then cancelled. */
  cancelled: uuid(0x04),
  /** Delivered; a part of it was refunded since. */
  completed: uuid(0x05),
  /** Is being paid right now. */
  paying: uuid(0x06),
} as const;

export const PRICES: Readonly<Record<string, number>> = { [ID.nails]: 500, [ID.lamps]: 8_900 };

/** Ids that belong to an order, derived from its own. */
const derived = (kind: string) => (orderId: string) => `${orderId.slice(0, 24)}${kind}${orderId.slice(26)}`;
export const sagaOf = derived("5a");
export const cancellationOf = derived("5b");
export const transactionOf = derived("7c");
export const paymentOf = derived("9a");
export const refundOf = derived("9f");

export interface Story {
  readonly orderId: string;
  /** Units by product. */
  readonly lines: Readonly<Record<string, number>>;
  readonly path: readonly string[];
  readonly reservation: string;
  readonly payment?: { readonly status: string; readonly refunded?: number };
}

export const STORIES: readonly Story[] = [
  {
    orderId: ID.created,
    lines: { [ID.nails]: 2, [ID.lamps]: 1 },
    path: ["draft", "created"],
    reservation: "RESERVED",
  },
  {
    orderId: ID.paid,
    lines: { [ID.nails]: 3 },
    path: ["draft", "created", "paying", "paid"],
    reservation: "CONFIRMED",
    payment: { status: "captured" },
  },
  { orderId: ID.refused, lines: { [ID.lamps]: 50 }, path: ["draft", "cancelled"], reservation: "REFUSED" },
  {
    orderId: ID.cancelled,
    lines: { [ID.nails]: 4 },
    path: ["draft", "created", "paying", "paid", "cancelling", "cancelled"],
    reservation: "RELEASED",
    payment: { status: "refunded", refunded: 2_000 },
  },
  {
    orderId: ID.completed,
    lines: { [ID.nails]: 6 },
    path: ["draft", "created", "paying", "paid", "shipping", "completed"],
    reservation: "CONFIRMED",
    payment: { status: "partially_refunded", refunded: 1_000 },
  },
  {
    orderId: ID.paying,
    lines: { [ID.lamps]: 2 },
    path: ["draft", "created", "paying"],
    reservation: "HELD",
    payment: { status: "reserved" },
  },
];

export const totalOf = ({ lines }: Story) =>
  Object.entries(lines).reduce((sum, [product, units]) => sum + units * (PRICES[product] ?? 0), 0);
