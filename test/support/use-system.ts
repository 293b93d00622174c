import { type BusProbe, openProbe } from "./bus-probe.ts";
import { type Mode, type System, startSystem } from "./system.ts";

/** The system that the tests of a file share. */
export interface Shared {
  readonly system: System;
  readonly probe: BusProbe;
}

const startMsMax = 150_000;

/** Starts a system before the first test of this group, and stops it after the last, whatever became of them. */
export function useSystem(
  mode: Mode,
  env?: NodeJS.ProcessEnv | (() => Promise<NodeJS.ProcessEnv>),
): () => Shared {
  let system: System | undefined;
  let probe: BusProbe | undefined;
  beforeAll(async () => {
    system = await startSystem({ mode, env: typeof env === "function" ? await env() : env });
    probe = await openProbe(system);
  }, startMsMax);
  afterAll(async () => {
    try {
      await probe?.close();
    } finally {
      const code = await system?.stop();
      if (system !== undefined) expect(code).toBe(0);
    }
  }, startMsMax);
  return () => {
    if (system === undefined || probe === undefined) throw new Error("the system is not ready");
    return { system, probe };
  };
}
