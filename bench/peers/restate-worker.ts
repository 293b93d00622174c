/** The process in which Restate runs the steps of an order. */
import { openBusiness } from "../load/floor-flow.ts";
import { BUSINESS_CONNECTIONS_MAX, type OrderRows } from "../load/order-rows.ts";
import { requireFrom } from "./installed.ts";
import { PEER_STEPS } from "./steps.ts";

interface Restate {
  service(definition: {
    readonly name: string;
    readonly handlers: Readonly<Record<string, (context: Context, order: OrderRows) => Promise<string>>>;
  }): object;
  serve(options: { readonly services: readonly object[]; readonly port: number }): Promise<number>;
}

interface Context {
  run(name: string, step: () => Promise<void>): Promise<void>;
}

const [folder = "", url = "", port = ""] = process.argv.slice(2);
process.on("disconnect", () => process.exit(0));
const { service, serve } = requireFrom<Restate>(folder, "@restatedev/restate-sdk");
const pool = openBusiness(url, BUSINESS_CONNECTIONS_MAX);
const order = service({
  name: "order",
  handlers: {
    async create(context, rows) {
      for (const { name, run } of PEER_STEPS) await context.run(name, () => run(pool, rows));
      return rows.id;
    },
  },
});
await serve({ services: [order], port: Number(port) });
process.send?.("ready");
