import { ConfigError } from "../../lib/config.ts";
import { UsageError } from "../usage-error.ts";
import { openApi, RefusedError, type Target, UnreachableError } from "./api.ts";
import { overview, readWords, usage } from "./read-words.ts";
import type { Outcome } from "./verb.ts";
import { VERBS } from "./verbs.ts";

/** 0 done, 1 refused or not found, 2 wrong usage, 3 cannot reach. */
export type SpeakCode = 0 | 1 | 2 | 3;

/** Where answers go. */
export interface Mouth {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Does what an operator says, and prints what comes of it; answers the exit code. */
export async function speak(
  given: readonly string[],
  target: () => Target,
  mouth: Mouth,
): Promise<SpeakCode> {
  try {
    const [first, second] = given;
    if (first === undefined || first === "--help" || (first === "help" && second === undefined)) {
      mouth.out(overview(VERBS));
      return first === undefined ? 2 : 0;
    }
    const words = first === "help" ? [second ?? "", "--help"] : given;
    const read = readWords(VERBS, words);
    if (read.help) {
      mouth.out(usage(read.verb));
      return 0;
    }
    const outcome = await read.verb.run(openApi(target()), read.words);
    mouth.out(read.json ? JSON.stringify(outcome.data, null, 2) : outcome.lines.join("\n"));
    return codeOf(outcome);
  } catch (error) {
    return reportTo(mouth, error);
  }
}

const codeOf = ({ ending }: Outcome): SpeakCode => {
  if (ending === undefined) return 0;
  return ending === "refused" ? 1 : 3;
};

/** @throws whatever is no failure that an operator can do something about */
function reportTo({ err }: Mouth, error: unknown): SpeakCode {
  if (error instanceof RefusedError) {
    err(`oms: ${error.message}`);
    return error.code === "VALIDATION_FAILED" ? 2 : 1;
  }
  if (error instanceof UnreachableError || error instanceof UsageError || error instanceof ConfigError) {
    err(`oms: ${error.message}`);
    return error instanceof UnreachableError ? 3 : 2;
  }
  throw error;
}
