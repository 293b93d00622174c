import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareApi } from "../data.ts";
import { startLoad } from "../load/driver.ts";
import { nameOf } from "../measure/cell.ts";
import { type CpuProfile, openInspector } from "../measure/inspector.ts";
import { cpuOf, waitForQuiet } from "../measure/processes.ts";
import { profileReport } from "../report/profile-report.ts";
import { number } from "../report/table.ts";
import type { StudyContext, StudyResult } from "./study.ts";

/** Where the services' process spends its time. For npm start's single process. */
export async function studyProfile({
  options,
  dataDir,
  start,
  progress,
}: StudyContext): Promise<StudyResult> {
  const system = await start({ inspect: true });
  const { inspectorUrl } = system;
  if (inspectorUrl === undefined || system.servicePids.length > 1)
    throw new Error("--profile looks at one process: it goes with npm start, not with --stack");
  const load = await startLoad(await prepareApi(system));
  const inspector = await openInspector(inspectorUrl);
  const services = system.servicePids;
  const parts: string[] = [];
  const complaints: string[] = [];
  try {
    for (const cell of options.cells) {
      let profile: Promise<CpuProfile> | undefined;
      const { warmSeconds, seconds } = options;
      const cpu: number[] = [];
      if (options.patienceMs > 0) await waitForQuiet(options.patienceMs);
      const markCpu = () => cpu.push(cpuOf(services));
      const result = await load.run(
        { cell, warmSeconds, until: { seconds } },
        () => {
          void inspector.startProfile();
          markCpu();
        },
        () => {
          profile = inspector.stopProfile();
          markCpu();
        },
      );
      if (profile === undefined) throw new Error("the load process told no edges");
      const title = `${nameOf(cell)}: ${number(result.orders / result.seconds)} orders/s under the profiler`;
      progress(title);
      parts.push(
        `## ${title}`,
        profileReport({
          profile: await profile,
          orders: result.orders,
          cpuMs: (cpu[1] ?? 0) - (cpu[0] ?? 0),
        }),
        "",
      );
      writeFileSync(
        join(dataDir, `${nameOf(cell).replace(" ", "-")}.cpuprofile`),
        JSON.stringify(await profile),
      );
      if (result.errors > 0)
        complaints.push(`${result.errors} errors, such as ${result.errorSamples.join(" | ")}`);
    }
  } finally {
    inspector.close();
    load.stop();
  }
  return { report: parts.join("\n"), complaints, data: parts };
}
