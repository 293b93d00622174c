import { v7 as uuidv7 } from "uuid";
import type { CustomerView, StoredCustomer } from "../../lib/contracts.ts";
import {
  emailIndexOf,
  isCiphertext,
  type PersonalColumn,
  type PersonalData,
} from "../../lib/personal-data/personal-data.ts";
import { bodyReader, text } from "./body-schema.ts";
import { optionalClaimOf } from "./idempotency-key.ts";
import { oneOf, readQuery, token, wholeNumber } from "./query.ts";
import { type ApiRequest, type Call, idIn, ok, type Reply } from "./request.ts";

const LIST_QUERY = {
  status: oneOf(["active", "inactive"]),
  limit: wholeNumber(1, 100),
  cursor: token(200),
};

const readCustomer = bodyReader<{ name: string; email: string }>({
  name: text(200),
  email: {
    ...text(254),
    pattern: /^[^\p{Cc}\p{Cs}\p{Z}@]+@[^\p{Cc}\p{Cs}\p{Z}@]+$/u,
    messages: { stringPattern: "The '{field}' field must be an e-mail address." },
  },
});

const readNothing = bodyReader<object>({});

/** POST /customers */
export async function createCustomer(request: ApiRequest, call: Call): Promise<Reply> {
  const { principal, headers, personalData } = request;
  const { name, email } = readCustomer(request.body);
  // What is stored of the request is a hash that nobody can guess names by.
  const hashed = {
    name: personalData.blindIndex("customers.name", name),
    email: personalData.blindIndex("customers.email", email),
  };
  const idempotency = optionalClaimOf(
    principal.subject,
    "POST /customers",
    headers["idempotency-key"],
    hashed,
  );
  const customerId = uuidv7();
  const answer = await call("customer.create", {
    customerId,
    name: personalData.encrypt({ column: "customers.name", rowId: customerId }, name),
    email: personalData.encrypt({ column: "customers.email", rowId: customerId }, email),
    emailIndex: emailIndexOf(personalData, email),
    actor: principal.subject,
    ...(idempotency && { idempotency }),
  });
  return replyOf(personalData, answer);
}

/** GET /customers */
export async function listCustomers({ query, personalData }: ApiRequest, call: Call): Promise<Reply> {
  const { items, nextCursor } = await call("customer.list", readQuery(query, LIST_QUERY));
  const shown = items.map((item) => customerView(personalData, item));
  return ok({ items: shown, ...(nextCursor && { nextCursor }) });
}

/** GET /customers/:customerId */
export async function getCustomer(request: ApiRequest, call: Call): Promise<Reply> {
  const found = await call("customer.get", { customerId: idIn(request, "customerId", "customer") });
  return ok(customerView(request.personalData, found));
}

/** POST /customers/:customerId/activate and /deactivate */
export const setCustomerStatus =
  (change: "activate" | "deactivate") => async (request: ApiRequest, call: Call) => {
    const { principal, headers, personalData } = request;
    readNothing(request.body ?? {});
    const params = { customerId: idIn(request, "customerId", "customer") };
    const operation = `POST /customers/:customerId/${change}`;
    const idempotency = optionalClaimOf(principal.subject, operation, headers["idempotency-key"], params);
    const answer = await call(`customer.${change}`, {
      ...params,
      actor: principal.subject,
      ...(idempotency && { idempotency }),
    });
    return replyOf(personalData, answer);
  };

interface Answer {
  readonly replayed: boolean;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: StoredCustomer;
}

/** What is stored under a key is the encrypted customer. */
function replyOf(personalData: PersonalData, { status, headers, body, replayed }: Answer): Reply {
  return {
    status,
    headers: { ...headers, ...(replayed && { "idempotent-replayed": "true" }) },
    body: customerView(personalData, body),
  };
}

function customerView(personalData: PersonalData, customer: StoredCustomer): CustomerView {
  const shown = (column: PersonalColumn, text: string) =>
    // Rows of before encryption, until npm run rewrap has been at them.
    isCiphertext(text) ? personalData.decrypt({ column, rowId: customer.customerId }, text) : text;
  return {
    customerId: customer.customerId,
    name: shown("customers.name", customer.name),
    email: shown("customers.email", customer.email),
    status: customer.status,
    createdAt: customer.createdAt,
    updatedAt: customer.updatedAt,
  };
}
