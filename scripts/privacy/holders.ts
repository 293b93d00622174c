import { type Ciphertext, isCiphertext, type PersonalData } from "../../lib/personal-data/personal-data.ts";
import type { DatabaseName } from "../../lib/settings.ts";

/** A row's column as text, with what it is encrypted for. */
export interface Held {
  readonly key: readonly string[];
  readonly value: string;
}

/** A column that holds personal data. */
export interface Holder {
  readonly what: string;
  readonly database: DatabaseName;
  readonly table: string;
  /** Its primary key, in the order of the index: the way through the table. */
  readonly key: readonly { readonly column: string; readonly type: "uuid" | "text" }[];
  readonly column: string;
  readonly type: "text" | "json" | "jsonb";
  /** SQL: what in it is encrypted; null where there is nothing. */
  readonly encrypted: readonly string[];
  /** The column as it should be: under the primary key, encrypted if it was not. @throws it cannot be decrypted */
  renew(personalData: PersonalData, held: Held): string;
}

const id = [{ column: "id", type: "uuid" }] as const;

function customerColumn(column: "name" | "email"): Holder {
  return {
    what: `customers.${column}`,
    database: "customer",
    table: "customers",
    key: id,
    column,
    type: "text",
    // An erased customer has an empty one.
    encrypted: [`nullif(${column}, '')`],
    renew: (personalData, { key: [rowId = ""], value }) =>
      renewed(personalData, value, () =>
        personalData.encrypt({ column: `customers.${column}`, rowId }, value),
      ),
  };
}

/** Wherever personal data is stored: docs/privacy.md has the same list for people. */
export const HOLDERS: readonly Holder[] = [
  customerColumn("name"),
  customerColumn("email"),
  {
    what: "answers about customers",
    database: "customer",
    table: "idempotency_records",
    key: [
      { column: "subject", type: "text" },
      { column: "key", type: "text" },
    ],
    column: "response_data",
    type: "json",
    encrypted: ["response_data ->> 'name'", "response_data ->> 'email'"],
    renew(personalData, { value }) {
      const answer = JSON.parse(value) as { name: string; email: string };
      const again = (text: string) => renewed(personalData, text, () => text);
      return JSON.stringify({ ...answer, name: again(answer.name), email: again(answer.email) });
    },
  },
  {
    what: "orders.shipping_address",
    database: "order",
    table: "orders",
    key: id,
    column: "shipping_address",
    type: "jsonb",
    encrypted: ["shipping_address #>> '{}'"],
    renew: (personalData, { key: [rowId = ""], value }) =>
      JSON.stringify(addressRenewed(personalData, rowId, JSON.parse(value))),
  },
  {
    what: "addresses in sagas",
    database: "saga",
    table: "saga_instances",
    key: id,
    column: "input",
    type: "json",
    encrypted: ["input ->> 'shippingAddress'"],
    renew(personalData, { value }) {
      const input = JSON.parse(value) as { orderId: string; shippingAddress: unknown };
      const shippingAddress = addressRenewed(personalData, input.orderId, input.shippingAddress);
      return JSON.stringify({ ...input, shippingAddress });
    },
  },
];

/** Before there was encryption, an address was an object. */
function addressRenewed(personalData: PersonalData, rowId: string, address: unknown): Ciphertext {
  const encrypt = () =>
    personalData.encrypt({ column: "orders.shipping_address", rowId }, JSON.stringify(address));
  return typeof address === "string" ? renewed(personalData, address, encrypt) : encrypt();
}

function renewed(personalData: PersonalData, text: string, encrypt: () => Ciphertext): Ciphertext {
  if (!isCiphertext(text)) return encrypt();
  return personalData.rewrap(text) ?? text;
}
