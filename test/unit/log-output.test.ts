import pino from "pino";
import { gathered, type LineOutput } from "../../lib/log-output.ts";

interface Recorded extends LineOutput {
  readonly told: string[];
}

function recorder(): Recorded {
  const told: string[] = [];
  return { told, write: (text) => told.push(text), flushSync: () => told.push("flushed") };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("the lines of one turn are written at once, in their order", async () => {
  const output = recorder();
  const { write } = gathered(output);
  for (const line of ["one\n", "two\n"]) write(line);
  expect(output.told).toEqual([]);
  await turn();
  write("three\n");
  await turn();
  await turn();
  expect(output.told).toEqual(["one\ntwo\n", "three\n"]);
});

test("a fatal line, and what came before it, waits for nothing", async () => {
  const output = recorder();
  const logger = pino({ base: null, timestamp: false }, gathered(output));
  logger.info("before");
  logger.fatal("the end");
  expect(output.told).toEqual(['{"level":30,"msg":"before"}\n{"level":60,"msg":"the end"}\n', "flushed"]);
  await turn();
  expect(output.told).toHaveLength(2);
});
