import { join } from "node:path";
import type { Prepared } from "./demo/prepare.ts";
import { type DemoContext, type Parts, runDemo, type Services } from "./demo/run-demo.ts";
import { startPostgres } from "./parts/postgres.ts";
import { existingServices, startServices } from "./serve.ts";

/** npm start: every service in this process, on a PostgreSQL that npm installed; nothing else is needed. */
void runDemo({ program: "start", startParts, startServices: startInProcess });

async function startParts({ config, dataDir, progress }: DemoContext): Promise<Parts> {
  const folder = join(dataDir, "postgres");
  const postgres = await startPostgres({ dataDir: folder, port: config.PG_PORT, progress });
  return { server: postgres, stop: () => postgres.stop() };
}

async function startInProcess({ lifecycle }: DemoContext, { env }: Prepared): Promise<Services> {
  // Replaced as a whole: what the services must not see, such as somebody's DATABASE_URL, is not in it.
  const names = existingServices();
  process.env = { ...env, SERVICES: names.join(",") };
  const services = await startServices(names);
  const { logger } = services.broker;
  lifecycle.onCrash((error) => logger.fatal("unexpected error, the process ends", error));
  return {
    pids: () => ({ holdfast: process.pid }),
    processes: { holdfast: { internalPort: env.INTERNAL_PORT ?? "", services: names } },
    stop: services.stop,
  };
}
