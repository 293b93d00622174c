/**
 * A minute of npm run chaos: two processes of each service on PostgreSQL, NATS and Kafka, under load, while a seeded
 * nemesis is at them. What takes how long is not judged here: tests run on machines that have other work.
 */

import { runScript } from "../support/demo-process.ts";
import { seededRandom } from "../support/random.ts";
import { describeOnStack } from "../support/system.ts";

describeOnStack("two processes of each service, under faults of every kind", () => {
  test("keep every promise", async () => {
    const { seed } = seededRandom("chaos");
    const command = ["chaos.ts", "--minutes", "1", "--seed", String(seed), "--no-times"];
    const { code, output } = await runScript(command, {});
    process.stderr.write(output.slice(output.indexOf("chaos: seed")));
    expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
  }, 900_000);
});
