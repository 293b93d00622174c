/** A guard switched off, and the tests that have to notice. */
export interface Mutation {
  /** As it stands in the table of docs/testing.md. */
  readonly guard: string;
  readonly file: string;
  /** Stands in the file once. */
  readonly find: string;
  readonly replace: string;
  /** The test file, below test/. */
  readonly suite: string;
  /** Part of the name of the test that has to fail; the whole file when left out. */
  readonly test?: string;
}
