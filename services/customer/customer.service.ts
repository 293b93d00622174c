import { Op } from "sequelize";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import type { CustomerStatus, IdempotentAnswer, StoredCustomer } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, type CallMeta, defineService } from "../../lib/define.ts";
import { NotFoundError, RuleViolationError, StateConflictError } from "../../lib/errors.ts";
import { TOPICS } from "../../lib/events.ts";
import { PAGE_SIZE, pageOf, readCursor } from "../../lib/page.ts";
import { actor, ciphertext, claimRules, cursor, limit, uuid } from "../../lib/params.ts";
import { auditTrail } from "../../mixins/audit-trail.mixin.ts";
import { type AuditEntry, appendToTrail } from "../../mixins/audit-trail.store.ts";
import { database } from "../../mixins/database.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { inbox } from "../../mixins/inbox.mixin.ts";
import { outbox } from "../../mixins/outbox.mixin.ts";
import { readModel } from "../../mixins/read-model.mixin.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import { type CustomerModel, defineCustomerModel } from "./customer.model.ts";
import {
  customerOf,
  customerStatuses,
  findCustomer,
  insertCustomer,
  setCustomerStatus,
} from "./customer.store.ts";
import { NOTIFIED } from "./notifications/notification.ts";
import { nothingToTell, notificationLog, notifications } from "./notifications/notifications.mixin.ts";
import { notificationRules } from "./notifications/retention.ts";
import { tokenVersions } from "./token-versions.mixin.ts";

interface CustomerVars {
  statusOf: Batcher<string, CustomerStatus | undefined>;
}

const OLDEST_FIRST = "id";
const claim = { ...claimRules, optional: true } as const;
const statusParams = { $$strict: true, customerId: uuid, actor, idempotency: claim } as const;

/** Where nobody is told of orders, none of their events is read. */
const telling =
  config().NOTIFICATION_URL === undefined
    ? [nothingToTell()]
    : [
        inbox({ group: "customer-service-group", topics: [TOPICS.orders.name], types: NOTIFIED }),
        notifications(config()),
        outbox("customer"),
      ];

/** Customers and whether they may order. Their names and addresses are encrypted; the keys are not here. */
export default defineService<CustomerVars>()({
  name: "customer",
  mixins: [
    readModel<CustomerModel>("customer", defineCustomerModel),
    ...telling,
    notificationLog(config()),
    auditTrail("customer"),
    idempotency(),
    tokenVersions(),
    retention("customer", notificationRules),
    database("customer"),
  ],
  methods: {
    /** @throws CUSTOMER_NOT_FOUND, IDEMPOTENCY_KEY_REUSED */
    async setStatus(
      ctx: ActionContext<"customer.activate">,
      status: CustomerStatus,
    ): Promise<IdempotentAnswer<StoredCustomer>> {
      const { customerId, actor: who, idempotency: key } = ctx.params;
      const perform = async (tx: Tx) => {
        const row = await setCustomerStatus(tx, customerId, status);
        if (!row) throw new NotFoundError("customer", customerId);
        const action = status === "active" ? "customer.activate" : "customer.deactivate";
        appendToTrail(tx, [entryOf(ctx, who, action, customerId)]);
        return { status: 200, headers: {}, body: customerOf(row) };
      };
      return this.onceAlone({ claim: key, perform });
    },
  },
  created() {
    this.statusOf = createBatcher({
      name: "customer.validate",
      sizeMax: config().BATCH_SIZE_MAX,
      run: async (ids) => {
        const statuses = await customerStatuses(this.database, [...new Set(ids)]);
        return ids.map((id) => statuses.get(id));
      },
    });
  },
  actions: {
    /** A customer who may order at once. @throws CUSTOMER_EMAIL_TAKEN, IDEMPOTENCY_KEY_REUSED */
    create: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        customerId: uuid,
        name: ciphertext,
        email: ciphertext,
        emailIndex: { type: "string", pattern: /^[A-Za-z0-9_-]{43}$/ },
        actor,
        idempotency: claim,
      },
      handler(ctx: ActionContext<"customer.create">) {
        const { idempotency: key, actor: who, ...customer } = ctx.params;
        const perform = async (tx: Tx) => {
          const row = await insertCustomer(tx, customer);
          if (!row)
            throw new StateConflictError("There is a customer with this address.", "CUSTOMER_EMAIL_TAKEN");
          const { customerId } = customer;
          appendToTrail(tx, [entryOf(ctx, who, "customer.create", customerId)]);
          return {
            status: 201,
            headers: { location: `/api/customers/${customerId}` },
            body: customerOf(row),
          };
        };
        return this.onceAlone({ claim: key, perform });
      },
    },
    /** @throws CUSTOMER_NOT_FOUND */
    get: {
      callers: ["gateway"],
      params: { $$strict: true, customerId: uuid },
      async handler(ctx: ActionContext<"customer.get">) {
        const { customerId } = ctx.params;
        const row = await findCustomer(this.database, customerId);
        if (!row) throw new NotFoundError("customer", customerId);
        return customerOf(row);
      },
    },
    /** In the order they came. @throws CURSOR_INVALID */
    list: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        status: { type: "enum", values: ["active", "inactive"], optional: true },
        limit,
        cursor,
      },
      async handler(ctx: ActionContext<"customer.list">) {
        const { status, limit: size = PAGE_SIZE, cursor: after } = ctx.params;
        const query = { ...(status && { status }), ...(after && { id: { [Op.gt]: readCursor(after) } }) };
        const found = await this.adapter.find({ query, sort: OLDEST_FIRST, limit: size + 1 });
        const { rows, nextCursor } = pageOf(found, size);
        return { items: rows.map(customerOf), ...(nextCursor && { nextCursor }) };
      },
    },
    /** The customer may order again; repeating it is harmless. @throws CUSTOMER_NOT_FOUND */
    activate: {
      callers: ["gateway"],
      params: statusParams,
      handler(ctx: ActionContext<"customer.activate">) {
        return this.setStatus(ctx, "active");
      },
    },
    /** The customer may not order; orders in hand go on. @throws CUSTOMER_NOT_FOUND */
    deactivate: {
      callers: ["gateway"],
      params: statusParams,
      handler(ctx: ActionContext<"customer.deactivate">) {
        return this.setStatus(ctx, "inactive");
      },
    },
    /** Answers when the customer may order. @throws CUSTOMER_NOT_FOUND, CUSTOMER_INACTIVE */
    validate: {
      callers: ["saga"],
      params: { $$strict: true, customerId: uuid },
      async handler(ctx: ActionContext<"customer.validate">) {
        const { customerId } = ctx.params;
        const status = await this.statusOf(customerId);
        if (!status) throw new NotFoundError("customer", customerId);
        if (status !== "active") {
          throw new RuleViolationError("The customer is not active.", "CUSTOMER_INACTIVE", { customerId });
        }
        return { customerId };
      },
    },
  },
});

function entryOf(ctx: { meta: CallMeta }, actor: string, action: string, customerId: string): AuditEntry {
  const { correlationId } = ctx.meta;
  return { actor, action, target: `customer ${customerId}`, ...(correlationId && { correlationId }) };
}
