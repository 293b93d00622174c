import { INSTANCE_VERBS } from "./instances.ts";
import { LETTER_VERBS } from "./letters.ts";
import { STANDING_VERBS } from "./standings.ts";
import type { Verb } from "./verb.ts";

/** Every verb of npm run oms and npm run repl. */
export const VERBS: readonly Verb[] = [...INSTANCE_VERBS, ...LETTER_VERBS, ...STANDING_VERBS];
