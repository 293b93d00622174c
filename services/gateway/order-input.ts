import type { ShippingAddress } from "../../lib/contracts.ts";
import { InvalidInputError } from "../../lib/errors.ts";
import type { Line } from "../../lib/events.ts";
import { LINES_MAX, QUANTITY_MAX } from "../../lib/params.ts";
import type { Principal } from "./auth.ts";
import { type BodyReader, bodyReader, isObject, paymentMethod, text, uuid } from "./body-schema.ts";
import { id } from "./contract/json-schema.ts";
import { ForbiddenError } from "./refusals.ts";
import { hasRole } from "./request.ts";

/** POST /orders, as a schema of fastest-validator. The only place where it is checked. */
export const ORDER_SCHEMA = {
  items: {
    type: "array",
    min: 1,
    max: LINES_MAX,
    items: {
      type: "object",
      strict: true,
      props: {
        productId: uuid,
        quantity: { type: "number", integer: true, min: 1, max: QUANTITY_MAX },
      },
    },
  },
  shippingAddress: {
    type: "object",
    strict: true,
    optional: true,
    props: {
      name: text(200),
      line1: text(200),
      line2: { ...text(200), optional: true },
      city: text(100),
      postalCode: text(20),
      country: text(60),
    },
  },
  paymentMethod: { ...paymentMethod, optional: true },
  customerId: { ...uuid, optional: true, json: { ...id, description: "Only staff may name the customer." } },
};

interface OrderBody {
  readonly items: readonly Line[];
  readonly shippingAddress?: ShippingAddress;
  readonly paymentMethod?: string;
  readonly customerId?: string;
}

const readOrder = bodyReader<OrderBody>(ORDER_SCHEMA);

/** The body as it came: what is wrong with it depends on who sends it, see parseOrder. */
export const orderBody: BodyReader<unknown> = Object.assign((body: unknown) => body, {
  schema: readOrder.schema,
});

/** What the order is to be. */
export interface OrderRequest {
  readonly customerId: string;
  readonly items: readonly Line[];
  readonly shippingAddress?: ShippingAddress;
  readonly paymentMethod?: string;
}

/** @throws ForbiddenError, InvalidInputError */
export function parseOrder(body: unknown, principal: Principal): OrderRequest {
  const staff = hasRole(principal, "staff");
  if (!staff && isObject(body) && Object.hasOwn(body, "customerId")) {
    throw new ForbiddenError("Only staff may order for a customer; leave customerId out.");
  }
  const order = readOrder(body);
  const { items, shippingAddress, paymentMethod } = order;
  return {
    customerId: customerOf(order, principal),
    items: summed(items),
    ...(shippingAddress && { shippingAddress }),
    ...(paymentMethod && { paymentMethod }),
  };
}

function customerOf(body: OrderBody, principal: Principal): string {
  const customerId =
    body.customerId?.toLowerCase() ?? (hasRole(principal, "customer") ? principal.subject : undefined);
  if (customerId !== undefined) return customerId;
  throw new InvalidInputError([
    { field: "customerId", message: "Staff names the customer that the order is for." },
  ]);
}

/** One line per product, in the order of their first mention. */
function summed(items: readonly Line[]): Line[] {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of items) {
    const id = productId.toLowerCase();
    quantities.set(id, (quantities.get(id) ?? 0) + quantity);
  }
  const lines = [...quantities].map(([productId, quantity]) => ({ productId, quantity }));
  const tooMany = lines.filter((line) => line.quantity > QUANTITY_MAX);
  if (tooMany.length === 0) return lines;
  const message = `The lines of product ${tooMany[0]?.productId} add up to more than ${QUANTITY_MAX}.`;
  throw new InvalidInputError([{ field: "items", message }]);
}
