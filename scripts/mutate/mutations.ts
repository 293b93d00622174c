import { COORDINATION } from "./coordination.ts";
import { EDGES } from "./edges.ts";
import { MESSAGES } from "./messages.ts";
import type { Mutation } from "./mutation.ts";
import { PARTICIPANTS } from "./participants.ts";

/** Every guard that can be switched off by a change of some lines. */
export const MUTATIONS: readonly Mutation[] = [...MESSAGES, ...COORDINATION, ...PARTICIPANTS, ...EDGES];

/** @throws Error the text to be replaced does not stand there, or more than once */
export function mutated({ guard, file, find, replace }: Mutation, text: string): string {
  const parts = text.split(find);
  if (parts.length !== 2)
    throw new Error(`${guard}: ${file} has ${parts.length - 1} of what is to be replaced`);
  return parts.join(replace);
}
