/** An argument has to be changed first. Apart from exit.ts, which knows every server: a command that needs none starts faster. */
export class UsageError extends Error {}
