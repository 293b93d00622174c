import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import { type ActionContext, defineService } from "../../lib/define.ts";
import { NotFoundError, RuleViolationError } from "../../lib/errors.ts";
import { uuid } from "../../lib/params.ts";
import { database } from "../../mixins/database.mixin.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import { type CustomerStatus, customerStatuses } from "./customer.store.ts";
import { tokenVersions } from "./token-versions.mixin.ts";

interface CustomerVars {
  statusOf: Batcher<string, CustomerStatus | undefined>;
}

/** Customers and whether they may order. */
export default defineService<CustomerVars>()({
  name: "customer",
  mixins: [retention("customer"), tokenVersions(), database("customer")],
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
