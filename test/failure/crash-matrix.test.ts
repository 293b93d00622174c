/**
 * kill -9 at every fault point of every flow, in both ways of going on: a process that is started anew, and another
 * replica that runs already. Then all comes to its one right end, and the audit finds nothing. The points are found by
 * running each flow once, so that a new durable write is covered without anybody naming it. A run takes as many as fit
 * into its time, drawn by seed (TEST_SEED); CRASH_MATRIX=all takes each once, CRASH_MATRIX=deep each passage of each, and
 * CRASH_MATRIX_MODE=restart or take-over those of one mode.
 */

import { allPlaces, MODES, type Place, runPlace } from "../support/crash-places.ts";
import { FLOWS } from "../support/flows.ts";
import { SHORT_LEASES, violationsOf } from "../support/mortal-system.ts";
import { type Nodes, startNodes } from "../support/nodes.ts";
import { seededRandom } from "../support/random.ts";

const modes = MODES.filter((mode) => (process.env.CRASH_MATRIX_MODE ?? mode) === mode);
const extent = process.env.CRASH_MATRIX ?? "slice";
const sliceMs = extent === "slice" ? 40_000 : 6 * 3_600_000;
/** An audit looks at everything there is: after each death it would cost more than the death. */
const auditEvery = 8;

let nodes: Nodes;
beforeAll(async () => {
  nodes = await startNodes({
    ...SHORT_LEASES,
    OUTBOX_LEASE_MS: "500",
    BUS_LEASE_MS: "500",
    EXPIRY_POLL_MS: "100",
  });
}, 60_000);
afterAll(() => nodes?.stop(), 60_000);

test(
  "killed at any point of any flow, the next process and another replica bring it to its one right end",
  async () => {
    const random = seededRandom("crash-matrix");
    const found = await allPlaces(nodes, extent === "deep");
    const tally: Tally = { runs: 0, wrong: [], recoveredMs: [] };
    for (const mode of modes) {
      const places = found.filter((place) => place.mode === mode);
      const drawn = places
        .map((place) => ({ place, order: random.next() }))
        .sort((a, b) => a.order - b.order);
      await runAll(
        drawn.map(({ place }) => place),
        performance.now() + sliceMs / modes.length,
        tally,
      );
    }
    const { runs, wrong, recoveredMs } = tally;
    recoveredMs.sort((one, other) => one - other);
    const points = new Set(found.map(({ at }) => at)).size;
    const flows = Object.keys(FLOWS).length;
    process.stderr.write(
      `crash-matrix: ${points} points x ${flows} flows, ${modes.join(" and ")}: ${runs} runs, ` +
        `${recoveredMs.length} killed there, recovered after ${recoveredMs[Math.floor(recoveredMs.length / 2)]} ms ` +
        `(median), ${recoveredMs.at(-1)} ms at most, ${wrong.length} violations\n`,
    );
    expect(wrong).toEqual([]);
    // Timing moves some points out of a flow now and then; most must be met, or this proves little.
    expect(recoveredMs.length).toBeGreaterThan(runs * 0.7);
    expect(runs).toBeGreaterThan(5);
  },
  sliceMs + 240_000,
);

interface Tally {
  runs: number;
  readonly wrong: string[];
  readonly recoveredMs: number[];
}

/** Runs these in turn until the time is over; whatever was run is audited. */
async function runAll(places: readonly Place[], deadline: number, tally: Tally): Promise<void> {
  let unaudited: Place[] = [];
  const audit = async () => {
    const among = unaudited.map(({ flow, at, mode }) => `${flow}, ${mode}, ${at}`).join("; ");
    const violations = await violationsOf(nodes);
    tally.wrong.push(...violations.map((violation) => `${violation} (one of: ${among})`));
    unaudited = [];
  };
  for (const [index, place] of places.entries()) {
    if (performance.now() > deadline) break;
    tally.runs += 1;
    const { met, recoveredMs, problems } = await runPlace(nodes, place);
    if (met) tally.recoveredMs.push(recoveredMs);
    tally.wrong.push(...problems);
    unaudited.push(place);
    if (unaudited.length === auditEvery) await audit();
    if (index % 24 === 23 || problems.length > 0)
      tell(`${index + 1} of ${places.length} ${place.mode}`, tally, problems);
  }
  if (unaudited.length > 0) await audit();
}

function tell(progress: string, { runs, recoveredMs, wrong }: Tally, problems: readonly string[]): void {
  const counts = `${runs} runs, ${recoveredMs.length} killed there, ${wrong.length} violations`;
  process.stderr.write(`crash-matrix: ${progress}: ${[counts, ...problems].join("\n")}\n`);
}
