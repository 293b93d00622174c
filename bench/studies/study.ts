import type { BenchOptions } from "../options.ts";
import type { System } from "../system.ts";

export interface StudyContext {
  readonly options: BenchOptions;
  readonly dataDir: string;
  /** Starts the system on the study's data; it is stopped at the end, or by `restart`. */
  start(how?: { readonly inspect?: boolean }): Promise<System>;
  stop(): Promise<void>;
  /** Notes what machine and server the figures are of, where the study starts a server of its own. */
  describe(server: Pick<System, "urlOf">): Promise<void>;
  progress(line: string): void;
}

export interface StudyResult {
  /** For people. */
  readonly report: string;
  /** What was wrong; a bench with complaints fails. */
  readonly complaints: readonly string[];
  /** For --json. */
  readonly data: unknown;
}

export type Study = (context: StudyContext) => Promise<StudyResult>;
