import type { Target } from "./api.ts";
import { usageLine } from "./read-words.ts";
import { type Mouth, speak } from "./speak.ts";
import type { Verb } from "./verb.ts";
import { VERBS } from "./verbs.ts";

/** What moleculer-repl hands to a parser of our own: commander's command. */
interface Typed {
  readonly parent: { readonly rawArgs: readonly string[] };
}

/** A command as moleculer-repl registers it. */
interface ReplCommand {
  readonly command: string;
  readonly description: string;
  readonly options: { option: string; description: string }[];
  readonly allowUnknownOptions: true;
  readonly parse: (typed: Typed) => void;
  readonly action: () => Promise<void>;
}

interface ReplVerbs {
  readonly commands: ReplCommand[];
  /** Waits for what was said and is not answered yet. */
  settled(): Promise<void>;
}

/** The verbs of npm run oms as commands of Moleculer's REPL. */
export function replVerbs(target: () => Target, mouth: Mouth): ReplVerbs {
  // The REPL does not wait for one command before it begins the next, of which a pipe has many: they take turns.
  let last: Promise<void> = Promise.resolve();
  const say = (words: readonly string[]) => {
    const turn = last.then(() => speak(words, target, mouth));
    last = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  };
  return { commands: VERBS.map((verb) => commandOf(verb, say)), settled: () => last };
}

function commandOf(verb: Verb, say: (words: readonly string[]) => Promise<unknown>): ReplCommand {
  let words: readonly string[] = [];
  return {
    command: `${verb.name} [words...]`,
    description: `${verb.summary}: ${usageLine(verb)}`,
    options: optionsOf(verb),
    allowUnknownOptions: true,
    // As they were typed, after node and the program: they are read as on the command line. The action follows at once.
    parse: ({ parent }) => {
      words = parent.rawArgs.slice(2);
    },
    action: async () => {
      await say(words);
    },
  };
}

/** For the REPL's own help. */
function optionsOf({ options = {} }: Verb): ReplCommand["options"] {
  return Object.entries(options).map(([name, { value, about }]) => ({
    option: value === undefined ? `--${name}` : `--${name} <${value}>`,
    description: about,
  }));
}
