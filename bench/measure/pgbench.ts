import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findOnPath, lastLine, run } from "../../scripts/parts/process.ts";
import { BUSINESS_CONNECTIONS_MAX, ORDER_STATEMENTS } from "../load/order-rows.ts";
import type { Cell } from "../load/protocol.ts";

/** pgbench is not among the programs that npm brings along. */
export const pgbench = findOnPath("pgbench");

/** The floor once more, with a client that costs next to nothing. Answers orders per second. */
export async function runPgbench(
  program: string,
  url: string,
  folder: string,
  cell: Cell,
  { warmSeconds, seconds }: { readonly warmSeconds: number; readonly seconds: number },
): Promise<number> {
  const script = join(folder, `pgbench-${cell.variant}.sql`);
  writeFileSync(script, scriptOf(cell.variant === "hot"));
  const clients = String(Math.min(cell.concurrency, BUSINESS_CONNECTIONS_MAX));
  const threads = cell.concurrency > 1 ? "2" : "1";
  const go = async (duration: number) => {
    const args = ["-n", "-M", "prepared", "-c", clients, "-j", threads, "-T", String(Math.ceil(duration))];
    const result = await run(program, [...args, "-f", script, url], {
      env: { ...process.env, PGOPTIONS: "-c search_path=bench -c enable_seqscan=off" },
      timeoutMs: (duration + 60) * 1_000,
    });
    const rate = /tps = ([\d.]+)/.exec(result.output)?.[1];
    if (result.code !== 0 || rate === undefined) throw new Error(`pgbench: ${lastLine(result.output)}`);
    return Number(rate);
  };
  await go(warmSeconds);
  return go(seconds);
}

function scriptOf(hot: boolean): string {
  const order = "(lpad(to_hex(:a::bigint), 16, '0') || lpad(to_hex(:b::bigint), 16, '0'))::uuid";
  const idOf = (kind: string, index: string) =>
    `('01990000-0000-7000-8${kind}00-' || lpad((:${index})::text, 12, '0'))::uuid`;
  const [first, second, customer] = [idOf("a", "p1"), idOf("a", "p2"), idOf("c", "customer")];
  const lines = [order, first, ":q1", second, ":q2"];
  const statements = [
    bound(ORDER_STATEMENTS.order, [order, customer, "300"]),
    bound(ORDER_STATEMENTS.items, lines),
    bound(ORDER_STATEMENTS.drafted, [order]),
    bound(ORDER_STATEMENTS.customer, [customer]),
    bound(ORDER_STATEMENTS.reservations, lines),
    bound(ORDER_STATEMENTS.stock, [first, ":q1"]),
    bound(ORDER_STATEMENTS.stock, [second, ":q2"]),
    bound(ORDER_STATEMENTS.confirm, [order]),
    bound(ORDER_STATEMENTS.confirmed, [order]),
  ];
  return [
    "\\set a random(1, 9000000000000000000)",
    "\\set b random(1, 9000000000000000000)",
    "\\set customer random(1, 1000)",
    `\\set x ${hot ? "1" : "random(1, 1000)"}`,
    `\\set y ${hot ? "2" : "((:x - 1 + random(1, 999)) % 1000) + 1"}`,
    "\\set p1 least(:x, :y)",
    "\\set p2 greatest(:x, :y)",
    "\\set q1 case when :x < :y then 1 else 2 end",
    "\\set q2 3 - :q1",
    "begin;",
    ...statements.map((text) => `${text};`),
    "commit;",
    "",
  ].join("\n");
}

/** pgbench knows variables, not parameters. */
function bound(text: string, values: readonly string[]): string {
  return text
    .replaceAll(/\$(\d)/g, (_, place: string) => values[Number(place) - 1] ?? "")
    .replaceAll("\n", " ");
}
