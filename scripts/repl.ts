import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { loadConfig } from "../lib/config.ts";
import { readDemoFile } from "./demo/demo-file.ts";
import { reportFailure } from "./exit.ts";
import { replVerbs } from "./oms/repl-commands.ts";
import { targetOf } from "./oms/target.ts";

/**
 * npm run repl: Moleculer's REPL as a node without services. It joins the cluster that TRANSPORTER names, else the demo
 * that runs here; `npm start` is one process that nobody can join, so that there only the operators' verbs look into it.
 * What changes something goes by these, through the gateway: any other call is refused, as no action names us among
 * its callers.
 */
try {
  process.env = { ...process.env, ...joining(process.env) };
  // Reads the environment as it is imported.
  const { default: options } = await import("../moleculer.config.ts");
  const { commands, settled } = replVerbs(() => targetOf(), {
    out: (text) => console.log(text),
    err: (text) => console.error(text),
  });
  const broker = new ServiceBroker({
    ...options,
    // `exit` stops the broker and ends the process: not before the verbs have answered.
    middlewares: [...(options.middlewares ?? []), { name: "Verbs", stopping: () => settled() }],
    replOptions: { delimiter: "holdfast $", customCommands: commands },
  });
  await broker.start();
  broker.repl();
} catch (error) {
  process.exitCode = reportFailure("repl", error);
}

/** The settings of a node that has nothing to offer. */
function joining(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { DATA_DIR, TRANSPORTER } = loadConfig(env);
  const natsUrl = TRANSPORTER === undefined ? readDemoFile(DATA_DIR)?.natsUrl : undefined;
  return {
    SERVICES: "",
    INTERNAL_PORT: "auto",
    NODE_ID: `repl-${process.pid}`,
    LOG_LEVEL: env.LOG_LEVEL || "warn",
    LOG_FORMAT: env.LOG_FORMAT || "pretty",
    ...(natsUrl && {
      TRANSPORTER: natsUrl,
      CLUSTER_SECRETS_FILE: join(DATA_DIR, "demo-keys", "cluster-secret"),
    }),
  };
}
