import type { Member } from "./postgres-group.store.ts";

interface Named {
  readonly topic: string;
  readonly partition: number;
}

/**
 * Which partitions a member should hold: each one goes to the member that has fewest so far among those who
 * read its topic. Every member computes this from the same rows and comes to the same answer, so that a
 * group needs no leader.
 */
export function fairShare<Partition extends Named>(
  partitions: readonly Partition[],
  members: readonly Member[],
  member: string,
): Partition[] {
  const counts = members.map((one) => ({ ...one, count: 0 })).sort((a, b) => (a.member < b.member ? -1 : 1));
  return partitions.filter(({ topic }) => {
    const readers = counts.filter((one) => one.topics.includes(topic));
    const next = readers.reduce<(typeof counts)[number] | undefined>(
      (least, one) => (least === undefined || one.count < least.count ? one : least),
      undefined,
    );
    if (next === undefined) return false;
    next.count += 1;
    return next.member === member;
  });
}
