/**
 * All services in one process, which loads everything, says so, and waits to be told before it starts them: a death
 * then costs the time of a start without that of its preparation. Ends with whoever started it.
 */
import { flushCompileCache } from "node:module";
import { existingServices, startServices } from "../../scripts/serve.ts";

const names = existingServices();
process.env.SERVICES = names.join(",");
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.once("message", async () => {
  await startServices(names);
  process.send?.("started");
});
await import("../../moleculer.config.ts");
for (const name of names) await import(`../../services/${name}/${name}.service.ts`);
// By itself this is written at an end that it will not have.
flushCompileCache();
process.send?.("warm");
