import type { Page } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { type Paging, pageBy, type Seek, seekOf } from "../../lib/page.ts";
import { cursor, limit } from "../../lib/params.ts";
import { listSagas, listTransactions } from "./operations.store.ts";
import { sagaView } from "./saga.view.ts";
import { transactionView } from "./tcc.view.ts";

const text = { type: "string", min: 1, max: 100, optional: true } as const;
const instances = {
  $$strict: true,
  state: text,
  type: text,
  stuck: { type: "boolean", optional: true },
  limit,
  cursor,
} as const;

/** What operators look through: sagas and transactions. */
export const operationLists = () =>
  defineMixin<{ database: Database }>()({
    methods: {
      /** A page of what this service stores, newest first. */
      async newest<Filter extends Paging, Row extends { id: string }, View>(
        list: (database: Database, filter: Filter, seek: Seek) => Promise<Row[]>,
        filter: Filter,
        view: (row: Row) => View,
      ): Promise<Page<View>> {
        return pageBy(await list(this.database, filter, seekOf(filter)), filter, view);
      },
    },
    actions: {
      /** Sagas, newest first. @throws CURSOR_INVALID */
      list: {
        callers: ["gateway"],
        params: instances,
        handler(ctx: ActionContext<"saga.list">) {
          return this.newest(listSagas, ctx.params, sagaView);
        },
      },
      /** Transactions, newest first. @throws CURSOR_INVALID */
      transactions: {
        callers: ["gateway"],
        params: instances,
        handler(ctx: ActionContext<"saga.transactions">) {
          return this.newest(listTransactions, ctx.params, transactionView);
        },
      },
    },
  });
