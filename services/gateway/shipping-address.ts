import type { OrderView, ShippingAddress } from "../../lib/contracts.ts";
import type { Ciphertext, PersonalData } from "../../lib/personal-data/personal-data.ts";
import { canonicalJson } from "./idempotency-key.ts";

/** Encrypted once, here: the saga's copy of the address and the order's are one ciphertext. */
export function encryptAddress(
  personalData: PersonalData,
  orderId: string,
  address: ShippingAddress,
): Ciphertext {
  return personalData.encrypt(placeOf(orderId), JSON.stringify(address));
}

/** Equal for equal addresses, and of no use to whoever lacks the key. */
export function indexOf(personalData: PersonalData, address: ShippingAddress): string {
  return personalData.blindIndex("orders.shipping_address", canonicalJson(address));
}

/** An order as the API shows it. @throws PersonalDataKeyMissingError, PersonalDataInvalidError */
export function shownOrder(personalData: PersonalData, order: OrderView): OrderView {
  const { orderId, shippingAddress: stored } = order;
  if (typeof stored !== "string") return order;
  const shippingAddress = JSON.parse(personalData.decrypt(placeOf(orderId), stored)) as ShippingAddress;
  return { ...order, shippingAddress };
}

const placeOf = (rowId: string) => ({ column: "orders.shipping_address" as const, rowId });
