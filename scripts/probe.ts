import { get } from "node:http";
import { ConfigError, loadConfig } from "../lib/config.ts";

/**
 * node scripts/probe.ts [/live|/ready]: asks the process that has our settings, on its internal port. For health checks
 * of containers, whose image has no curl. Exit code 0: it says yes, 1: no, or nothing; 2: wrong settings.
 */
const path = process.argv[2] ?? "/ready";
try {
  const { INTERNAL_PORT: port } = loadConfig();
  if (port === "auto") throw new ConfigError("INTERNAL_PORT", "auto cannot be asked; set a number");
  const request = get({ host: "127.0.0.1", port, path, timeout: 4_000 }, (response) => {
    response.setEncoding("utf8").on("data", (text: string) => process.stdout.write(text));
    process.exitCode = response.statusCode === 200 ? 0 : 1;
  });
  request.on("timeout", () => request.destroy(new Error("no answer within 4 s")));
  request.on("error", (error) => {
    console.error(`probe: ${error.message}`);
    process.exitCode = 1;
  });
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(`probe: ${error.message}`);
  process.exitCode = 2;
}
