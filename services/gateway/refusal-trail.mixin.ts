import type { Config } from "../../lib/config.ts";
import { callAction, defineMixin } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { log } from "../../lib/logging.ts";
import { clientAddressBy } from "./client-address.ts";
import { createRefusalTrail, type RefusalTrail, refusalKindOf, refusedOf } from "./refusal-trail.ts";
import type { WebRequest } from "./web.ts";

/** Tells the audit trail what was refused to whom. */
export const refusalTrail = ({ TRUSTED_PROXIES }: Config) => {
  const addressOf = clientAddressBy(TRUSTED_PROXIES);
  return defineMixin<{ refusals: RefusalTrail }>()({
    methods: {
      noteRefusal(request: WebRequest, status: number, error: unknown): void {
        const kind = refusalKindOf(status, error);
        if (kind) this.refusals.note(refusedOf(kind, request, addressOf(request)));
      },
    },
    created() {
      this.refusals = createRefusalTrail({
        record: (refusals) =>
          callAction(this.broker, "saga.recordRefusals", { refusals }, { caller: "gateway" }),
        onError: (err) => log(this.logger, {}).warn("refusals wait to be recorded", { err }),
      });
      // After the last request, and before the service that records them is gone.
      drainFirst(this.broker, "refusal trail", () => this.refusals.stop());
    },
    async started() {
      this.refusals.start();
    },
    async stopped() {
      await this.refusals.stop();
    },
  });
};
