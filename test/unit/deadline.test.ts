import { type Context, ServiceBroker } from "moleculer";
import { createBatcher } from "../../lib/batcher.ts";
import { deadlines, hasPassed } from "../../lib/deadline.ts";
import { callAction } from "../../lib/define.ts";

/** Work that nobody waits for any more is not begun. */

const PASSED = { code: 504, type: "DEADLINE_PASSED", retryable: true };

describe("an action", () => {
  const entered: string[] = [];
  const broker = new ServiceBroker({ logger: false, middlewares: [deadlines()] });
  broker.createService({
    name: "saga",
    actions: {
      live(ctx: Context) {
        entered.push("saga.live");
        return ctx.call("order.status");
      },
    },
  });
  broker.createService({
    name: "order",
    actions: {
      status(ctx: Context<unknown, { deadline?: number }>) {
        entered.push("order.status");
        return { deadline: ctx.meta.deadline };
      },
    },
  });
  beforeAll(() => broker.start());
  beforeEach(() => entered.splice(0));
  afterAll(() => broker.stop());
  const call = (deadline?: number) =>
    callAction(broker, "saga.live", { sagaIds: [] }, { meta: { deadline } });

  test("is entered in time, and hands the deadline on", async () => {
    const deadline = Date.now() + 60_000;
    await expect(call(deadline)).resolves.toEqual({ deadline });
    await expect(call()).resolves.toEqual({});
    expect(entered).toHaveLength(4);
  });

  test("is not entered when its time is over", async () => {
    await expect(call(Date.now() - 60_000)).rejects.toMatchObject({
      ...PASSED,
      data: { where: "saga.live" },
    });
    expect(entered).toEqual([]);
  });

  test("is not refused because two clocks differ a little", () => {
    expect(hasPassed(1_000_000, 1_000_900)).toBe(false);
    expect(hasPassed(1_000_000, 1_002_000)).toBe(true);
    expect(hasPassed(undefined)).toBe(false);
  });
});

test("what waited for a batch until its time was over is given back, and the others go on", async () => {
  const run: number[][] = [];
  const first = Promise.withResolvers<void>();
  const batcher = createBatcher<number, number>({
    name: "test",
    concurrency: 1,
    run: async (items) => {
      run.push([...items]);
      if (run.length === 1) await first.promise;
      return items;
    },
  });
  const inHand = batcher(0);
  await new Promise((resolve) => setImmediate(resolve));
  const late = [batcher(1, Date.now() - 60_000), batcher(2, Date.now() - 60_000)];
  const settled = Promise.allSettled(late);
  const inTime = [batcher(3, Date.now() + 60_000), batcher(4)];
  first.resolve();
  expect(await inHand).toBe(0);
  expect(await Promise.all(inTime)).toEqual([3, 4]);
  for (const result of await settled) expect(result).toMatchObject({ status: "rejected", reason: PASSED });
  expect(run).toEqual([[0], [3, 4]]);
  // A batch that nothing is left of is not run, and holds nobody up.
  await expect(batcher(5, Date.now() - 60_000)).rejects.toMatchObject(PASSED);
  await expect(batcher(6)).resolves.toBe(6);
  expect(run).toHaveLength(3);
});
