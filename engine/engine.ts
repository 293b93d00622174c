import { type Batcher, createBatcher } from "../lib/batcher.ts";
import type { Change, EngineOptions, EnginePorts } from "./ports.ts";
import type { CallEffect, Effect, Input, Instance, Outcome, Protocol, PublishEffect } from "./protocol.ts";

export interface ReceivedInput {
  readonly id: string;
  readonly input: Input;
}

interface Settled<I extends Instance> {
  readonly change: Change<I>;
  readonly effects: readonly Effect[];
}

/** Tries to get an input through before it is left to the row's wake-up time. */
const CONFLICTS_MAX = 5;
const CACHE_SIZE_MAX = 20_000;

/**
 * Moves instances: gathers inputs, advances, persists, and only then acts. Saves are compare-and-set on the
 * row's version, so any number of nodes may work on one instance: one of them gets through, the others load
 * it anew and find their input late. What is in memory is only ever a copy; the row's wake-up time brings
 * it back on any node.
 */
export class Engine<I extends Instance, Tx> {
  private readonly protocol: Protocol<I>;
  private readonly ports: EnginePorts<I, Tx>;
  private readonly options: EngineOptions;
  private readonly cache = new Map<string, I>();
  /** Calls in hand, by instance and token. */
  private readonly calls = new Map<string, string>();
  private readonly working = new Set<Promise<void>>();
  private readonly save: Batcher<Change<I>, boolean>;
  private draining = false;

  constructor(protocol: Protocol<I>, ports: EnginePorts<I, Tx>, options: EngineOptions) {
    this.protocol = protocol;
    this.ports = ports;
    this.options = options;
    this.save = createBatcher<Change<I>, boolean>({
      name: "engine saves",
      sizeMax: options.batchSizeMax,
      run: (changes) => this.saveBatch(changes),
    });
  }

  /** Takes on instances that have just been inserted and committed, and performs what they owe. */
  adopt(started: readonly Outcome<I>[]): void {
    for (const { instance } of started) this.remember(instance);
    this.ports.observer.started?.(started.map(({ instance }) => instance));
    for (const { instance, effects } of started) this.act(instance, effects);
  }

  /**
   * Applies events inside the caller's transaction, beside its inbox rows. The answer is to be called after
   * the commit: it performs the calls that follow.
   */
  async receive(tx: Tx, events: readonly ReceivedInput[]): Promise<() => void> {
    const settled: Settled<I>[] = [];
    let open = events;
    let copies = this.cached(events);
    for (let round = 0; open.length > 0 && round < CONFLICTS_MAX; round += 1) {
      const missing = [...new Set(open.map(({ id }) => id))].filter((id) => !copies.has(id)).sort();
      const loaded = missing.length > 0 ? await this.load(tx, missing) : [];
      const folded = this.fold(open, new Map([...copies, ...loaded.map((one) => [one.id, one] as const)]));
      const changes = folded.map(({ change }) => change);
      const saved = changes.length > 0 ? await this.ports.store.save(tx, changes) : new Set<string>();
      settled.push(...folded.filter(({ change }) => saved.has(change.after.id)));
      const moved = new Set(changes.map(({ after }) => after.id));
      // Nobody brings an event again: a copy to which it means nothing may be behind its row, as one that was not saved is.
      const behind = (id: string) => (moved.has(id) ? !saved.has(id) : copies.has(id));
      open = open.filter(({ id }) => behind(id));
      copies = new Map();
    }
    if (open.length > 0) throw new Error("the instances keep changing under this batch of events");
    return () => {
      this.settle(settled.map(({ change }) => change));
      for (const { change, effects } of settled) this.act(nextVersion(change.after), effects);
    };
  }

  /**
   * Applies one input now and tells whether it changed anything; `alongside` writes into the same transaction.
   * For what people ask: they want to know.
   */
  async offer(id: string, input: Input, alongside: (tx: Tx) => void | Promise<void>): Promise<boolean> {
    const { store } = this.ports;
    const settled = await store.transaction(async (tx) => {
      const [before] = await store.load(tx, [id]);
      const outcome = before && this.protocol.advance(before, input, this.ports.now());
      if (!before || !outcome?.changed) return undefined;
      const change = { before, after: outcome.instance, published: outcome.effects.filter(isPublish) };
      await store.save(tx, [change]);
      await alongside(tx);
      return { change, effects: outcome.effects };
    });
    if (!settled) return false;
    this.settle([settled.change]);
    this.act(nextVersion(settled.change.after), settled.effects);
    return true;
  }

  /** Takes over what is due. Answers true when there may be more. */
  async recover(): Promise<boolean> {
    if (this.draining) return false;
    const { batchSizeMax, leaseMs } = this.options;
    const due = await this.ports.store.claimDue(batchSizeMax, leaseMs);
    const busy = new Set(this.calls.values());
    for (const instance of due) {
      // With its calls in hand here, claiming it has only renewed the lease.
      if (busy.has(instance.id)) continue;
      this.remember(instance);
      const applying = this.within(instance, () => this.apply(instance, { kind: "timer" }));
      this.track(applying, "recovery", instance);
    }
    return due.length === batchSizeMax;
  }

  /** Waits for the calls in hand and takes on nothing new; what is owed then is any other node's. */
  async drain(): Promise<void> {
    this.draining = true;
    while (this.working.size > 0) await Promise.all(this.working);
  }

  /** What this node last knew of an instance that had not ended then: for who only waits for its end. */
  live(id: string): I | undefined {
    return this.cache.get(id);
  }

  inFlight(): number {
    return this.calls.size;
  }

  /** How many instances this node knows that have not ended. */
  liveCount(): number {
    return this.cache.size;
  }

  private act(instance: I, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind !== "call" || this.draining) continue;
      const key = `${instance.id} ${effect.token}`;
      if (this.calls.has(key)) continue;
      this.calls.set(key, instance.id);
      const performing = this.within(instance, () => this.perform(instance, effect));
      const settled = performing.finally(() => this.calls.delete(key));
      this.track(settled, `call ${effect.action}`, instance);
    }
  }

  private within<Result>(instance: I, work: () => Result): Result {
    const { within } = this.ports;
    return within ? within(instance, work) : work();
  }

  private async perform(instance: I, effect: CallEffect): Promise<void> {
    const reply = await this.ports.call(instance, effect);
    await this.apply(instance, { kind: "reply", token: effect.token, reply });
  }

  private async apply(known: I, input: Input): Promise<void> {
    let instance = this.cache.get(known.id) ?? known;
    // Still contended after that: whoever keeps winning moves it on, and its wake-up time stands.
    for (let conflicts = 0; conflicts < CONFLICTS_MAX; conflicts += 1) {
      const outcome = this.protocol.advance(instance, input, this.ports.now());
      if (!outcome.changed) return;
      if (!outcome.durable) {
        if (this.cache.has(instance.id)) this.cache.set(instance.id, outcome.instance);
        this.act(outcome.instance, outcome.effects);
        return;
      }
      const published = outcome.effects.filter(isPublish);
      if (await this.save({ before: instance, after: outcome.instance, published })) {
        this.act(nextVersion(outcome.instance), outcome.effects);
        return;
      }
      const fresh = await this.reload(instance.id);
      if (!fresh) return;
      instance = fresh;
    }
  }

  private async saveBatch(changes: readonly Change<I>[]): Promise<boolean[]> {
    // Of two changes to one instance the later was made from what the earlier replaces: a conflict as any other.
    const first = new Map<string, Change<I>>();
    for (const change of changes) if (!first.has(change.after.id)) first.set(change.after.id, change);
    const saved = await this.ports.store.saveAlone([...first.values()].sort(byId));
    const through = new Set([...first.values()].filter(({ after }) => saved.has(after.id)));
    this.settle([...through]);
    return changes.map((change) => through.has(change));
  }

  private settle(changes: readonly Change<I>[]): void {
    const { observer } = this.ports;
    if (changes.length === 0) return;
    for (const { after } of changes) this.remember(nextVersion(after));
    observer.saved?.(changes);
    const ended = changes
      .filter(({ before, after }) => this.protocol.hasEnded(after) && !this.protocol.hasEnded(before))
      .map(({ after }) => after);
    if (ended.length > 0) observer.ended?.(ended);
  }

  private async reload(id: string): Promise<I | undefined> {
    this.cache.delete(id);
    const [fresh] = await this.ports.store.transaction((tx) => this.ports.store.load(tx, [id]));
    if (fresh) this.remember(fresh);
    return fresh;
  }

  private remember(instance: I): void {
    this.cache.delete(instance.id);
    if (this.protocol.hasEnded(instance)) return;
    this.cache.set(instance.id, instance);
    if (this.cache.size <= (this.options.cacheSizeMax ?? CACHE_SIZE_MAX)) return;
    const [oldest] = this.cache.keys();
    if (oldest !== undefined) this.cache.delete(oldest);
  }

  /** Rows as they stand; what memory has of them and is behind is forgotten. */
  private async load(tx: Tx, ids: readonly string[]): Promise<readonly I[]> {
    const loaded = await this.ports.store.load(tx, ids);
    for (const { id, version } of loaded)
      if ((this.cache.get(id)?.version ?? version) < version) this.cache.delete(id);
    return loaded;
  }

  private cached(events: readonly ReceivedInput[]): Map<string, I> {
    const found = new Map<string, I>();
    for (const { id } of events) {
      const instance = this.cache.get(id);
      if (instance) found.set(id, instance);
    }
    return found;
  }

  /** Several inputs to one instance become one change. */
  private fold(events: readonly ReceivedInput[], current: ReadonlyMap<string, I>): Settled<I>[] {
    const folded = new Map<string, Settled<I>>();
    for (const { id, input } of events) {
      const before = current.get(id);
      if (!before) continue;
      const soFar = folded.get(id);
      const outcome = this.protocol.advance(soFar?.change.after ?? before, input, this.ports.now());
      if (!outcome.changed) continue;
      const effects = [...(soFar?.effects ?? []), ...outcome.effects];
      const published = effects.filter(isPublish);
      folded.set(id, { change: { before, after: outcome.instance, published }, effects });
    }
    return [...folded.values()].sort((a, b) => byId(a.change, b.change));
  }

  private track(work: Promise<void>, what: string, instance: I): void {
    const tracked: Promise<void> = work
      .catch((error: unknown) => this.ports.observer.failed?.(what, error, instance))
      .finally(() => this.working.delete(tracked));
    this.working.add(tracked);
  }
}

function nextVersion<I extends Instance>(instance: I): I {
  return { ...instance, version: instance.version + 1 };
}

function isPublish(effect: Effect): effect is PublishEffect {
  return effect.kind === "publish";
}

// One order for all: two transactions that lock the same rows cannot wait for each other.
function byId<I extends Instance>(a: Change<I>, b: Change<I>): number {
  return a.after.id < b.after.id ? -1 : a.after.id > b.after.id ? 1 : 0;
}
