import { createPoller } from "../../lib/poller.ts";
import { RevocationsUnavailableError } from "./refusals.ts";

/** Least versions of tokens that changed after a revision. */
export interface TokenVersionChanges {
  readonly items: readonly { readonly subject: string; readonly version: number }[];
  readonly revision: number;
  readonly more: boolean;
}

export interface RevocationOptions {
  readonly changesAfter: (revision: number) => Promise<TokenVersionChanges>;
  readonly intervalMs: number;
  /** Without news for this long nobody is let in any more. */
  readonly stalenessMaxMs: number;
  /** `loaded`: whether there were news before; until then, that nobody answers is how a start looks. */
  readonly onError: (error: unknown, loaded: boolean) => void;
}

export interface Revocations {
  start(): void;
  /** Resolves when all that was revoked before is known here. */
  readonly loaded: Promise<void>;
  /** Whether the tokens of that version are refused. @throws RevocationsUnavailableError nobody could say */
  isRevoked(subject: string, version: number): boolean;
  stop(): Promise<void>;
}

/**
 * The least versions of tokens, kept in memory by asking for changes: a request costs one look into a Map, and a
 * revocation is in force everywhere one interval later. An outage of the service that keeps them leaves us with what
 * we know, for a while.
 */
export function followRevocations(options: RevocationOptions): Revocations {
  const versions = new Map<string, number>();
  const loaded = Promise.withResolvers<void>();
  let revision = 0;
  let knownAt = Number.NEGATIVE_INFINITY;
  const poller = createPoller({
    name: "gateway revocations",
    intervalMs: options.intervalMs,
    onError: (error) => options.onError(error, knownAt > Number.NEGATIVE_INFINITY),
    async run() {
      const askedAt = performance.now();
      const changes = await options.changesAfter(revision);
      for (const { subject, version } of changes.items) versions.set(subject, version);
      revision = changes.revision;
      if (changes.more) return true;
      knownAt = askedAt;
      loaded.resolve();
      return false;
    },
  });
  return {
    start: poller.start,
    loaded: loaded.promise,
    isRevoked(subject, version) {
      if (performance.now() - knownAt > options.stalenessMaxMs) throw new RevocationsUnavailableError();
      return version < (versions.get(subject) ?? 0);
    },
    stop: poller.stop,
  };
}
