import type { HttpAnswer } from "../http.ts";
import type { Draft } from "./draft.ts";

/** How often each operation was answered with which status and code. */
export class Tally {
  readonly #byKind = new Map<string, number>();
  readonly #byStatus = new Map<number, number>();
  readonly #byCode = new Map<string, number>();
  readonly #answers = new Map<string, number>();
  readonly #successes = new Map<string, number>();

  count(kind: string, { operation }: Draft, { status, body }: HttpAnswer): void {
    add(this.#byKind, kind);
    add(this.#byStatus, status);
    if (status >= 400) add(this.#byCode, String(body?.code));
    add(this.#answers, operation.id);
    if (status < 400) add(this.#successes, operation.id);
  }

  answers(operation: string): number {
    return this.#answers.get(operation) ?? 0;
  }

  successes(operation: string): number {
    return this.#successes.get(operation) ?? 0;
  }

  told(): string {
    const without = [...this.#answers.keys()].filter((id) => this.successes(id) === 0);
    return [
      `${listed(this.#byKind)}; ${this.#answers.size} operations`,
      `by status: ${listed(this.#byStatus)}`,
      `by code: ${listed(this.#byCode)}`,
      `never successful: ${without.join(", ") || "none"}`,
    ].join("\n  ");
  }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function listed(counts: ReadonlyMap<string | number, number>): string {
  const sorted = [...counts].sort(([one], [other]) => String(one).localeCompare(String(other)));
  return sorted.map(([key, count]) => `${key} ${count}`).join(", ");
}
