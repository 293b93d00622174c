import type { Refusal } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { actor } from "../../lib/params.ts";
import { appendToTrail } from "../../mixins/audit-trail.store.ts";

interface RefusalsVars {
  transaction: <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Result>;
}

const text = { type: "string", min: 1, max: 200 } as const;

/** What gateways have refused, in the audit trail beside what operators did: the gateway has no database. */
export const refusals = () =>
  defineMixin<RefusalsVars>()({
    actions: {
      recordRefusals: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          refusals: {
            type: "array",
            max: 2_000,
            items: {
              type: "object",
              strict: true,
              props: {
                kind: { type: "enum", values: ["auth.refused", "auth.forbidden", "rate.limited"] },
                subject: actor,
                route: text,
                network: text,
                count: { type: "number", integer: true, min: 1 },
                firstAt: text,
                lastAt: text,
              },
            },
          },
        },
        async handler(ctx: ActionContext<"saga.recordRefusals">) {
          const { refusals: found } = ctx.params;
          await this.transaction(async (tx) => appendToTrail(tx, found.map(entryOf)));
          return { recorded: found.length };
        },
      },
    },
  });

function entryOf({ kind, subject, route, ...detail }: Refusal) {
  return { actor: subject, action: kind, target: route, detail };
}
