import type { Context } from "moleculer";
import { defineMixin, defineService } from "../../lib/define.ts";

const counter = () =>
  defineMixin<{ count: number }>()({
    methods: {
      increase(by: number): number {
        this.count += by;
        return this.count;
      },
    },
    created() {
      this.count = 0;
    },
  });

const service = defineService<{ label: string }>()({
  name: "typed",
  mixins: [counter()],
  methods: {
    shout(text: string): string {
      return text.toUpperCase() + this.label;
    },
  },
  created() {
    this.label = "!";
  },
  actions: {
    hello: {
      callers: [],
      params: { name: "string" },
      handler(ctx: Context<{ name: string }>): string {
        this.increase(1);
        // @ts-expect-error a wrong argument does not compile
        this.increase("1");
        // @ts-expect-error a member that nobody defines does not compile
        this.nowhere();
        return this.shout(ctx.params.name) + this.count.toFixed(0);
      },
    },
  },
});

const namesOnly = () => defineMixin<{ names: string[] }>()({});
const withMethod = () =>
  defineMixin<{ names: string[] }>()({
    methods: {
      namesSorted(): string[] {
        return this.names.toSorted();
      },
    },
  });

test("a mixin that adds less than another does not hide what that one adds", () => {
  const both = defineService()({
    name: "both",
    mixins: [namesOnly(), withMethod()],
    created() {
      this.names = this.namesSorted();
    },
  });
  expect(both.name).toBe("both");
});

test("a service sees its own methods and variables and those of its mixins", () => {
  expect(service.name).toBe("typed");
});
