/** What a schedule runs. */
export interface Simulated {
  /** Nobody is going to ask for anything more. */
  readonly areDone: boolean;
  /** Nothing is owed to anybody any more. */
  isAtRest(): boolean;
  /** After each step. @throws Violation */
  check(): void;
  /** Looks, once all is at rest, for what must hold then: `check` tells. */
  atRest(): void;
  /** What has not come to rest, for people. */
  unended(): string[];
}
