/**
 * Every fault point that a flow passes, for every flow: kill -9 there, restart, recover, audit. The points are found by
 * running each flow once, so that a new durable write is covered without anybody naming it. A run takes as many pairs
 * as fit into its time, drawn by seed (TEST_SEED); CRASH_MATRIX=all takes them all.
 */
import { FLOWS } from "../support/flows.ts";
import { type MortalSystem, SHORT_LEASES, startMortal } from "../support/mortal-system.ts";
import { seededRandom } from "../support/random.ts";

type FlowName = keyof typeof FLOWS;

const all = process.env.CRASH_MATRIX === "all";
const sliceMs = all ? 3_600_000 : 40_000;
/** Loops that go on by themselves pass these at any time, whether the flow needs them or not. */
const isBackground = (point: string) =>
  /_claim_|claim_|token_version|tokenVersions|^bus\.bus_|^bus-|^retention-|^call\.(saga|order|payment)\.get\./.test(
    point,
  );

let mortal: MortalSystem;
beforeAll(async () => {
  mortal = await startMortal(SHORT_LEASES);
}, 60_000);
afterAll(() => mortal?.stop(), 60_000);

test(
  "killed at any point of any flow, the next process brings it to its one right end",
  async () => {
    const random = seededRandom("crash-matrix");
    const pairs: { flow: FlowName; at: string }[] = [];
    for (const flow of Object.keys(FLOWS) as FlowName[]) {
      const points = (await mortal.pointsOf(FLOWS[flow])).filter((point) => !isBackground(point));
      pairs.push(...points.map((at) => ({ flow, at })));
    }
    const drawn = pairs
      .map((pair) => ({ pair, order: random.next() }))
      .sort((a, b) => a.order - b.order)
      .map(({ pair }) => pair);
    const deadline = performance.now() + sliceMs;
    const wrong: string[] = [];
    let [kills, recoveredMsMax] = [0, 0];
    let run = 0;
    for (; run < drawn.length && performance.now() < deadline; run += 1) {
      const { flow, at } = drawn[run] ?? { flow: "create", at: "" };
      const { met, recoveredMs } = await mortal.through(FLOWS[flow], { at, next: drawn[run + 1]?.at });
      const violations = await mortal.violations();
      wrong.push(...violations.map((violation) => `${flow}, killed at ${at}: ${violation}`));
      kills += met ? 1 : 0;
      recoveredMsMax = Math.max(recoveredMsMax, recoveredMs);
    }
    const points = new Set(pairs.map(({ at }) => at)).size;
    process.stderr.write(
      `crash-matrix: ${points} points x ${Object.keys(FLOWS).length} flows are ${pairs.length} pairs, ${run} runs, ` +
        `${kills} killed at the point, longest recovery ${recoveredMsMax} ms, ${wrong.length} violations\n`,
    );
    expect(wrong).toEqual([]);
    // Timing moves some points out of a flow now and then; most must be met, or this proves little.
    expect(kills).toBeGreaterThan(run * 0.7);
    expect(run).toBeGreaterThan(5);
  },
  sliceMs + 240_000,
);
