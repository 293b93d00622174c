import { readOptions } from "./options.ts";
import { type BenchResult, runBench } from "./run.ts";

interface Part {
  readonly title: string;
  readonly args: string;
}

const TIMES = "--runs 3 --seconds 6 --warm 2";

/** Whatever docs/performance.md has a table of: some 70 minutes in all. What one part leaves out another one has. */
const PARTS: readonly Part[] = [
  { title: "What an order costs, counted", args: "--costs" },
  { title: "Creating, beside the floor", args: TIMES },
  { title: "Paying, cancelling and a mix", args: `--flow pay,cancel,mixed --variants uniform ${TIMES}` },
  {
    title: "At a fixed rate, and all at once",
    args: `--flow create,pay,cancel,mixed --variants uniform --rates 200,400,800 --spike 200 ${TIMES}`,
  },
  { title: "Flash sale", args: "--flash --runs 3" },
  {
    title: "A process per service, on NATS and Kafka",
    args: `--stack --flow create,pay,cancel,mixed --variants uniform --concurrency 1,64,256 --spike 200 --no-floor ${TIMES}`,
  },
  {
    title: "Two processes per service, on NATS and Kafka",
    args: `--stack --replicas 2 --flow create,pay,cancel,mixed --variants uniform --concurrency 1,64,256 --no-floor ${TIMES}`,
  },
  { title: "Beside past orders", args: `--history --concurrency 64 ${TIMES}` },
  { title: "A backlog of events", args: "--backlog --concurrency 64 --seconds 15 --warm 2" },
  { title: "While old rows leave", args: `--retention --concurrency 16 ${TIMES}` },
  { title: "Open sagas", args: "--waiting --runs 3 --seconds 10" },
  { title: "Other engines", args: `--peers --concurrency 1,64,256 ${TIMES}` },
  {
    title: "Other engines, everybody on the same two products",
    args: `--peers --concurrency 64 --variants hot ${TIMES}`,
  },
];

/** One bench after the other, each with a system of its own. One that fails is told, and the next ones run. */
export async function runAll(more: readonly string[]): Promise<BenchResult[]> {
  const results: BenchResult[] = [];
  const startedAt = performance.now();
  for (const [index, { title, args }] of PARTS.entries()) {
    const minutes = Math.round((performance.now() - startedAt) / 60_000);
    console.log(`\n# ${title}\n\n\`npm run bench -- ${args}\``);
    console.error(`bench: part ${index + 1} of ${PARTS.length}, after ${minutes} min: ${title}`);
    const options = readOptions([...args.split(" "), ...more]);
    try {
      results.push(await runBench(options));
    } catch (error) {
      const complaint = `${title}: ${error instanceof Error ? error.message : error}`;
      console.error(`bench: WRONG: ${complaint}`);
      results.push({ machine: undefined, options, complaints: [complaint], data: undefined });
    }
  }
  const found = results.flatMap(({ complaints }) => complaints);
  console.log(
    `\n${results.length} benches; ${found.length === 0 ? "nothing was wrong" : `wrong: ${found.length}`}`,
  );
  for (const complaint of found) console.log(`- ${complaint}`);
  return results;
}
