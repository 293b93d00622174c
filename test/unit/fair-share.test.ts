import fc from "fast-check";
import { fairShare } from "../../lib/bus/fair-share.ts";

const partitionsOf = (topic: string, count: number) =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }));

describe("the share of a member", () => {
  it("covers every partition exactly once, whatever the members and the order in which they are seen", () => {
    const topics = fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 });
    const members = fc.uniqueArray(fc.record({ member: fc.uuid(), topics }), {
      minLength: 1,
      maxLength: 7,
      selector: (one) => one.member,
    });
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 9 }), (group, count) => {
        const partitions = ["a", "b", "c"].flatMap((topic) => partitionsOf(topic, count));
        const shares = group.flatMap(({ member }) => fairShare(partitions, [...group].reverse(), member));
        const readable = partitions.filter(({ topic }) =>
          group.some((one) => one.topics.some((read) => read === topic)),
        );
        expect(new Set(shares)).toEqual(new Set(readable));
        expect(shares).toHaveLength(readable.length);
      }),
    );
  });

  it("differs by one partition at most among members with the same topics", () => {
    const group = ["m1", "m2", "m3", "m4"].map((member) => ({ member, topics: ["a", "b"] }));
    const partitions = [...partitionsOf("a", 6), ...partitionsOf("b", 3)];
    const sizes = group.map(({ member }) => fairShare(partitions, group, member).length);
    expect(sizes).toEqual([3, 2, 2, 2]);
  });
});
