import { randomUUID } from "node:crypto";
import { type Database, withTransaction } from "../database.ts";
import { createPoller, type Poller } from "../poller.ts";
import { fairShare } from "./fair-share.ts";
import {
  beat,
  claimPartitions,
  leaveGroup,
  type Member,
  type PartitionOwner,
  releasePartitions,
} from "./postgres-group.store.ts";

/** A partition that this member holds. Whoever loses one and gets it back gets a new object. */
export interface OwnedPartition {
  readonly topic: string;
  readonly partition: number;
  /** Where the next fetch begins: ahead of `handled` while a batch is in hand. */
  position: number;
  /** Everything before it has had its effect. */
  handled: number;
  /** Where the group goes on after a crash: behind `handled` while a commit is under way or has failed. */
  committed: number;
  failures: number;
  retryAtMs: number;
  lost: boolean;
}

export interface MembershipOptions {
  readonly database: Database;
  readonly process: string;
  readonly group: string;
  readonly topics: readonly string[];
  readonly leaseMs: number;
  /** After each beat; `error` when it failed. */
  readonly onBeat: (error?: unknown) => void;
}

export function partitionName({
  topic,
  partition,
}: {
  readonly topic: string;
  readonly partition: number;
}): string {
  return `${topic}/${partition}`;
}

/**
 * A member's part in its group. It beats four times per lease in the background, also while a handler works,
 * and each beat shows who lives and who holds what. Partitions change hands only in `settle`, which the
 * reading loop calls while it has no batch in hand.
 */
export class Membership {
  readonly member: string = randomUUID();
  readonly owned = new Map<string, OwnedPartition>();
  readonly #options: MembershipOptions;
  readonly #beats: Poller;
  #surplus: PartitionOwner[] = [];
  #claimable: PartitionOwner[] = [];
  #joined = false;
  #validUntilMs = 0;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const intervalMs = Math.round(options.leaseMs / 4);
    this.#beats = createPoller({
      name: `bus-member-${options.group}`,
      intervalMs,
      backoffMaxMs: intervalMs,
      onError: options.onBeat,
      run: async () => {
        const complete = await this.#beat();
        // What is our share and still held by others comes free within a beat of theirs: look more often.
        if (!complete) this.#soon = setTimeout(() => this.#beats.wake(), intervalMs / 5);
        options.onBeat();
        return false;
      },
    });
  }

  start(): void {
    this.#beats.start();
  }

  /** A beat now, unless one is under way. */
  wake(): void {
    this.#beats.wake();
  }

  /** By our own clock the lease still runs, so nobody else can have our partitions. */
  isValid(): boolean {
    return performance.now() < this.#validUntilMs;
  }

  /** All topics exist and the first share was taken. */
  hasJoined(): boolean {
    return this.#joined && !this.needsSettling();
  }

  needsSettling(): boolean {
    return this.#surplus.length > 0 || this.#claimable.length > 0;
  }

  /** Gives up what others should have, and takes what is free and should be ours. */
  async settle(): Promise<void> {
    const { database, group } = this.#options;
    for (const one of this.#surplus) {
      const ours = this.owned.get(partitionName(one));
      if (ours !== undefined) this.lose(ours);
    }
    if (this.#surplus.length > 0) await releasePartitions(database, group, this.member, this.#surplus);
    this.#surplus = [];
    const claimable = this.#claimable.filter((one) => !this.owned.has(partitionName(one)));
    const claimed =
      claimable.length > 0 ? await claimPartitions(database, group, this.member, claimable) : [];
    this.#claimable = [];
    for (const { topic, partition, position } of claimed) {
      const at = { position, handled: position, committed: position };
      const state = { ...at, failures: 0, retryAtMs: 0, lost: false };
      this.owned.set(partitionName({ topic, partition }), { topic, partition, ...state });
    }
  }

  /** Forgets a partition that is no longer ours. */
  lose(partition: OwnedPartition): void {
    partition.lost = true;
    if (this.owned.get(partitionName(partition)) === partition) this.owned.delete(partitionName(partition));
  }

  async leave(): Promise<void> {
    clearTimeout(this.#soon);
    await this.#beats.stop();
    clearTimeout(this.#soon);
    for (const one of [...this.owned.values()]) this.lose(one);
    await leaveGroup(this.#options.database, this.#options.group, this.member);
  }

  /** @returns false while some of our share is held by others */
  async #beat(): Promise<boolean> {
    const { member } = this;
    const { database, topics, leaseMs } = this.#options;
    const startedMs = performance.now();
    const before = [...this.owned.values()];
    const view = await withTransaction(database, (tx) => beat(tx, { ...this.#options, member }));
    this.#validUntilMs = startedMs + leaseMs;
    const ours = new Set(view.owners.filter((one) => one.owner === member).map(partitionName));
    for (const one of before) if (!ours.has(partitionName(one))) this.lose(one);
    const present = new Set(view.owners.map((one) => one.topic));
    this.#joined ||= topics.every((topic) => present.has(topic));
    return this.#compare(view.owners, view.members);
  }

  #compare(owners: readonly PartitionOwner[], members: readonly Member[]): boolean {
    const share = fairShare(owners, members, this.member);
    const wanted = new Set(share.map(partitionName));
    const alive = new Set(members.map((one) => one.member));
    this.#surplus = owners.filter((one) => one.owner === this.member && !wanted.has(partitionName(one)));
    const missing = share.filter((one) => !this.owned.has(partitionName(one)));
    this.#claimable = missing.filter(
      ({ owner }) => owner === null || owner === this.member || !alive.has(owner),
    );
    return missing.length === this.#claimable.length;
  }
}
