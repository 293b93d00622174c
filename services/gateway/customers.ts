import type { CustomerView, IdempotentAnswer, StoredCustomer } from "../../lib/contracts.ts";
import { uuidv7 } from "../../lib/ids.ts";
import {
  emailIndexOf,
  isCiphertext,
  type PersonalColumn,
  type PersonalData,
} from "../../lib/personal-data/personal-data.ts";
import { bodyReader, text } from "./body-schema.ts";
import { claimIfKeyed } from "./idempotency-key.ts";
import { oneOf, PAGE, type QueryOf } from "./query.ts";
import { type ApiRequest, answerOf, type Call, idIn, ok, type Reply } from "./request.ts";

export const LIST_QUERY = { status: oneOf(["active", "inactive"]), ...PAGE };

interface NewCustomer {
  readonly name: string;
  readonly email: string;
}

export const customerBody = bodyReader<NewCustomer>({
  name: { ...text(200), json: { examples: ["Ada Demo"] } },
  email: {
    ...text(254),
    pattern: /^[^\p{Cc}\p{Cs}\p{Z}@]+@[^\p{Cc}\p{Cs}\p{Z}@]+$/u,
    messages: { stringPattern: "The '{field}' field must be an e-mail address." },
    json: { examples: ["ada@example.com"] },
  },
});

/** POST /customers */
export async function createCustomer(request: ApiRequest<NewCustomer>, call: Call): Promise<Reply> {
  const { principal, personalData, body } = request;
  const { name, email } = body;
  // What is stored of the request is a hash that nobody can guess names by.
  const hashed = {
    name: personalData.blindIndex("customers.name", name),
    email: personalData.blindIndex("customers.email", email),
  };
  const customerId = uuidv7();
  const answer = await call("customer.create", {
    customerId,
    name: personalData.encrypt({ column: "customers.name", rowId: customerId }, name),
    email: personalData.encrypt({ column: "customers.email", rowId: customerId }, email),
    emailIndex: emailIndexOf(personalData, email),
    actor: principal.subject,
    ...claimIfKeyed(request, "POST /customers", hashed),
  });
  return shownAnswer(personalData, answer);
}

/** GET /customers */
export async function listCustomers(
  { query, personalData }: ApiRequest<undefined, QueryOf<typeof LIST_QUERY>>,
  call: Call,
): Promise<Reply> {
  const { items, ...page } = await call("customer.list", query);
  return ok({ items: items.map((item) => customerView(personalData, item)), ...page });
}

/** GET /customers/:customerId */
export async function getCustomer(request: ApiRequest, call: Call): Promise<Reply> {
  const found = await call("customer.get", { customerId: idIn(request, "customerId", "customer") });
  return ok(customerView(request.personalData, found));
}

/** POST /customers/:customerId/activate and /deactivate */
export const setCustomerStatus =
  (change: "activate" | "deactivate") => async (request: ApiRequest, call: Call) => {
    const params = { customerId: idIn(request, "customerId", "customer") };
    const claim = claimIfKeyed(request, `POST /customers/:customerId/${change}`, params);
    const actor = request.principal.subject;
    return shownAnswer(
      request.personalData,
      await call(`customer.${change}`, { ...params, actor, ...claim }),
    );
  };

/** What is stored under a key is the encrypted customer. */
function shownAnswer(personalData: PersonalData, answer: IdempotentAnswer<StoredCustomer>): Reply {
  return answerOf({ ...answer, body: customerView(personalData, answer.body) });
}

function customerView(personalData: PersonalData, customer: StoredCustomer): CustomerView {
  const shown = (column: PersonalColumn, stored: string) =>
    // Rows of before encryption, until npm run rewrap has been at them.
    isCiphertext(stored) ? personalData.decrypt({ column, rowId: customer.customerId }, stored) : stored;
  return {
    ...customer,
    name: shown("customers.name", customer.name),
    email: shown("customers.email", customer.email),
  };
}
