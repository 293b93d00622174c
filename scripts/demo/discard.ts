import { rmSync } from "node:fs";
import { join } from "node:path";
import { readClaim } from "../parts/claim.ts";
import { PartFailedError, type Progress } from "../parts/part.ts";
import { runs, waitFor } from "../parts/process.ts";

const parts = ["postgres", "kafka", "nats"];
const stoppingMsMax = 60_000;

/**
 * Deletes what earlier demos stored, the database and the topics together: one without the other would tell of
 * orders that do not exist. A server that a killed start left behind is being stopped by its watchdog; its
 * data is deleted when it is gone.
 */
export async function discardData(dataDir: string, progress: Progress): Promise<void> {
  for (const part of parts) {
    const folder = join(dataDir, part);
    const isGone = () => !runs(readClaim(join(folder, "claim.json"))?.pid ?? 0, folder);
    if (!(await waitFor(isGone, stoppingMsMax, 50)))
      throw new PartFailedError(part, `still runs on ${folder}, so its data cannot be deleted`);
    rmSync(folder, { recursive: true, force: true });
  }
  progress("deleted the data of earlier starts (--fresh)");
}
