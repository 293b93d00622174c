import { type Database, withTransaction } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { log } from "../../lib/logging.ts";
import { appendToTrail } from "../../mixins/audit-trail.store.ts";
import { raiseTokenVersion, tokenVersionsAfter } from "./token-versions.store.ts";

const PAGE_SIZE = 1_000;
const WHOLE = { type: "number", integer: true, min: 0, max: Number.MAX_SAFE_INTEGER } as const;

/** Revocation of all tokens of a subject that were issued so far: customers, staff, operators and services alike. */
export const tokenVersions = () =>
  defineMixin<{ database: Database }>()({
    actions: {
      /** Refuses, from now on, tokens of the subject whose `ver` is below the version that this answers. */
      revokeTokens: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          subject: { type: "string", pattern: /^[\x21-\x7e]{1,64}$/ },
          version: { ...WHOLE, min: 1, optional: true },
          actor: { type: "string", min: 1, max: 100 },
          reason: { type: "string", min: 3, max: 1_000 },
        },
        async handler(ctx: ActionContext<"customer.revokeTokens">) {
          const { actor, subject, reason } = ctx.params;
          const raised = await withTransaction(this.database, async (tx) => {
            const { version } = await raiseTokenVersion(tx, ctx.params);
            const { correlationId } = ctx.meta;
            const about = { actor, action: "tokens.revoke", target: `subject ${subject}`, correlationId };
            appendToTrail(tx, [{ ...about, detail: { version, reason } }]);
            return { subject, version };
          });
          log(this.logger, ctx).warn("tokens revoked", { subject, version: raised.version, actor });
          return raised;
        },
      },
      /** What changed after that revision, for those who check tokens. */
      tokenVersions: {
        callers: ["gateway"],
        params: { $$strict: true, after: WHOLE },
        async handler(ctx: ActionContext<"customer.tokenVersions">) {
          const rows = await tokenVersionsAfter(this.database, ctx.params.after, PAGE_SIZE);
          return {
            items: rows.map(({ subject, version }) => ({ subject, version })),
            revision: rows.at(-1)?.revision ?? ctx.params.after,
            more: rows.length === PAGE_SIZE,
          };
        },
      },
    },
  });
