import { resolve } from "node:path";
import type { ServiceName } from "../lib/settings.ts";
import type { Prepared } from "./demo/prepare.ts";
import { type DemoContext, type Parts, runDemo, type Services } from "./demo/run-demo.ts";
import { supervise } from "./demo/supervisor.ts";
import { PartUnavailableError } from "./parts/part.ts";
import { freePort } from "./parts/ports.ts";
import { provision } from "./parts/provision.ts";
import { existingServices } from "./serve.ts";

/**
 * npm run stack: each service in a process of its own, on real PostgreSQL, NATS and Kafka.
 * npm run cluster (--embedded-bus): the same without Kafka; events go through PostgreSQL.
 */
const embeddedBus = process.argv.includes("--embedded-bus");
void runDemo({ program: embeddedBus ? "cluster" : "stack", startParts, startServices: startProcesses });

async function startParts({ config, dataDir, progress }: DemoContext): Promise<Parts> {
  const parts = await provision({
    need: embeddedBus ? ["postgres", "nats"] : ["postgres", "nats", "kafka"],
    dataDir,
    stackDir: resolve(".stack"),
    ports: { postgres: config.PG_PORT, nats: config.NATS_PORT, kafka: config.KAFKA_PORT },
    progress,
  });
  const { postgres, nats, kafka, stop } = parts;
  if (postgres === undefined || nats === undefined)
    throw new PartUnavailableError("stack", "PostgreSQL or NATS is missing");
  return { server: postgres, natsUrl: nats.url, kafkaBrokers: kafka?.url, stop };
}

const readyMsMax = 60_000;

async function startProcesses(
  context: DemoContext,
  { env }: Prepared,
  pidsChanged: () => void,
): Promise<Services> {
  const services = existingServices();
  const envs = new Map<ServiceName, NodeJS.ProcessEnv>();
  for (const name of services) {
    // The gateway's internal port is the one of the setting; the others keep theirs when they are started anew.
    const port = name === "gateway" ? env.INTERNAL_PORT : String(await freePort());
    envs.set(name, { ...env, INTERNAL_PORT: port, NODE_ID: name });
  }
  const supervisor = supervise({
    services,
    envOf: (name) => envs.get(name) ?? env,
    report: context.progress,
    onReplaced: pidsChanged,
    readyMsMax,
    stopMsMax: context.config.SHUTDOWN_TIMEOUT_MS + 10_000,
  });
  // From here on there are processes to stop, ready or not.
  context.lifecycle.defer(supervisor.stop);
  context.lifecycle.atExit(supervisor.kill);
  await supervisor.ready();
  const processes = Object.fromEntries(
    services.map((name) => [name, { internalPort: envs.get(name)?.INTERNAL_PORT ?? "", services: [name] }]),
  );
  return { ...supervisor, processes };
}
