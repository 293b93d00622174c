import { join } from "node:path";
import { nodeProgram, run } from "../../scripts/parts/process.ts";

const root = join(__dirname, "..", "..");

/**
 * What an order costs, held against bench/cost-budget.json: statements, commits, rows, write-ahead log and memory,
 * for a lone order and for 64 at once. Counts, not times: a slow machine has the same ones.
 */
test("creating, paying and cancelling an order cost what their budget says", async () => {
  const args = [join(root, "bench", "bench.ts"), "--costs"];
  const { code, output } = await run(nodeProgram(), args, { cwd: root, timeoutMs: 290_000 });
  expect(output.split("\n").filter((line) => line.startsWith("bench: WRONG"))).toEqual([]);
  expect({ code, output }).toMatchObject({ code: 0 });
}, 300_000);
