import { Validators } from "moleculer";
import type { CreateOrderParams, ShippingAddress } from "../../lib/contracts.ts";
import { type FieldError, InvalidInputError } from "../../lib/errors.ts";
import type { Line } from "../../lib/events.ts";
import { LINES_MAX, QUANTITY_MAX } from "../../lib/params.ts";
import type { Principal } from "./auth.ts";
import { ForbiddenError } from "./refusals.ts";
import { hasRole } from "./request.ts";

/** Without control characters and halves of surrogate pairs: PostgreSQL takes neither in text or jsonb. */
const text = (max: number) => ({
  type: "string",
  empty: false,
  max,
  pattern: /^[^\p{Cc}\p{Cs}]*$/u,
  messages: { stringPattern: "The '{field}' field contains characters that are not allowed." },
});

/** In any case, as RFC 9562 has it; we go on with lower case. */
const uuid = {
  type: "string",
  pattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  messages: { stringPattern: "The '{field}' field must be a UUID." },
};

/** POST /orders, as a schema of fastest-validator. The only place where it is checked. */
export const ORDER_SCHEMA = {
  $$strict: true,
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
  paymentMethod: { type: "string", pattern: /^[A-Za-z0-9_-]{1,64}$/, optional: true },
  customerId: { ...uuid, optional: true },
};

interface OrderBody {
  readonly items: readonly Line[];
  readonly shippingAddress?: ShippingAddress;
  readonly paymentMethod?: string;
  readonly customerId?: string;
}

interface Finding {
  readonly type: string;
  readonly field?: string;
  readonly message?: string;
  readonly actual?: unknown;
}

const check = new Validators.Fastest({ useNewCustomCheckerFunction: true }).compile(ORDER_SCHEMA);
const FINDINGS_MAX = 20;

/** What the order is to be, without its idempotency claim. @throws ForbiddenError, InvalidInputError */
export function parseOrder(body: unknown, principal: Principal): Omit<CreateOrderParams, "idempotency"> {
  if (!isObject(body)) throw new InvalidInputError([{ field: "", message: "The body must be an object." }]);
  const staff = hasRole(principal, "staff");
  if (!staff && Object.hasOwn(body, "customerId")) {
    throw new ForbiddenError("Only staff may order for a customer; leave customerId out.");
  }
  assertValid(body);
  const { items, shippingAddress, paymentMethod } = body;
  return {
    customerId: customerOf(body, principal),
    items: summed(items),
    ...(shippingAddress && { shippingAddress }),
    ...(paymentMethod && { paymentMethod }),
  };
}

function isObject(body: unknown): body is Record<string, unknown> {
  return typeof body === "object" && body !== null && !Array.isArray(body);
}

function assertValid(body: Record<string, unknown>): asserts body is Record<string, unknown> & OrderBody {
  const findings: unknown = check(body);
  if (Array.isArray(findings)) throw new InvalidInputError(findings.slice(0, FINDINGS_MAX).map(fieldError));
}

function fieldError({ type, field = "", message, actual }: Finding): FieldError {
  if (type !== "objectStrict") return { field, message: message ?? "is not valid" };
  return { field, message: `These fields are not known here: ${String(actual).slice(0, 200)}.` };
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
