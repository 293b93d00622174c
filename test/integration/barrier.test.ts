/**
 * The TCC participant's mixin alone, on a participant whose effects can be counted: whatever comes twice, too late, at
 * once or in any order, each operation has its effect once, and no branch is both confirmed and cancelled.
 */
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import { seededRandom } from "../support/random.ts";
import { useServer } from "../support/service-database.ts";
import { type Answer, type Batch, openParticipants } from "./barrier.world.ts";

type World = Awaited<ReturnType<typeof openParticipants>>;

const server = useServer();
let world: World;
beforeAll(async () => {
  world = await openParticipants(server);
});
afterAll(() => world.stop());

const newGid = () => world.newGids(1)[0] ?? "";
const times = <Result>(count: number, run: (index: number) => Result) =>
  Array.from({ length: count }, (_, index) => run(index));
const ops = async (gid: string) => (await world.effectsOf(gid)).map(({ op }) => op);

test.each<{ wanted: TccOp[] }>([{ wanted: ["try", "confirm"] }, { wanted: ["try", "cancel"] }])(
  "$wanted, each twenty times at once: one effect, one answer",
  async ({ wanted }) => {
    const gid = newGid();
    for (const op of wanted) {
      const alone = times(10, () => world.ask(op, gid));
      const together = world.operate({ op, requests: times(10, () => ({ gid })) });
      const answers = [...(await Promise.all(alone)), ...(await together).flat()];
      const [effect] = (await world.effectsOf(gid)).filter((one) => one.op === op);
      expect(answers).toEqual(times(20, () => ({ effect: effect?.id })));
    }
    expect(await ops(gid)).toEqual(wanted);
  },
);

test("a cancel without a try has no effect, and a try that comes late is refused for ever", async () => {
  const gid = newGid();
  const cancels = await Promise.all(times(20, () => world.ask("cancel", gid)));
  expect(cancels).toEqual(times(20, () => ({ empty: true })));
  for (let late = 0; late < 3; late += 1)
    expect(await world.ask("try", gid)).toEqual({ error: "TCC_HANGING" });
  expect(await ops(gid)).toEqual([]);
});

test("a cancel that meets its try either finds it and undoes it, or keeps it out", async () => {
  const gids = world.newGids(30);
  const found = await Promise.all(
    gids.map(async (gid) => {
      const [tried, cancelled] = await Promise.all([world.ask("try", gid), world.ask("cancel", gid)]);
      return { tried, cancelled, had: await ops(gid) };
    }),
  );
  for (const { tried, cancelled, had } of found) {
    if (had.length > 0) {
      expect(had).toEqual(["try", "cancel"]);
      expect([tried, cancelled]).toEqual([{ effect: expect.any(Number) }, { effect: expect.any(Number) }]);
    } else expect([tried, cancelled]).toEqual([{ error: "TCC_HANGING" }, { empty: true }]);
  }
});

test("a confirm after the cancel is refused, said aloud, and leaves no mark; so is one without a try", async () => {
  const gid = newGid();
  await world.ask("try", gid);
  await world.ask("cancel", gid);
  const marks = await world.marksOf(gid);
  expect(await world.ask("confirm", gid)).toEqual({ error: "TCC_CONFIRM_AFTER_CANCEL" });
  expect(await world.marksOf(gid)).toEqual(marks);
  expect(await ops(gid)).toEqual(["try", "cancel"]);
  const other = newGid();
  expect(await world.ask("confirm", other)).toEqual({ error: "TCC_NOT_TRIED" });
  expect(await world.marksOf(other)).toEqual([]);
  const msg = "a decided confirm was refused";
  expect(world.errors).toMatchObject([
    { msg, gid, branch: "test", code: "TCC_CONFIRM_AFTER_CANCEL" },
    { msg, gid: other, branch: "test", code: "TCC_NOT_TRIED" },
  ]);
  world.errors.length = 0;
});

test("a cancel after the confirm is refused, and the confirm answered as before", async () => {
  const gid = newGid();
  await world.ask("try", gid);
  const confirmed = await world.ask("confirm", gid);
  expect(await world.ask("cancel", gid)).toEqual({ error: "TCC_CANCEL_AFTER_CONFIRM" });
  expect(await world.ask("confirm", gid)).toEqual(confirmed);
  expect(await ops(gid)).toEqual(["try", "confirm"]);
});

test("a confirm and a cancel at once: one of them has its effect", async () => {
  const gids = world.newGids(60);
  await world.operate({ op: "try", requests: gids.map((gid) => ({ gid })) });
  await Promise.all(gids.flatMap((gid) => [world.ask("confirm", gid), world.ask("cancel", gid)]));
  const had = await Promise.all(gids.map(ops));
  expect(had.filter((effects) => effects.length !== 2)).toEqual([]);
});

test("a request that its participant refuses leaves no mark and hurts none of its batch", async () => {
  const gids = world.newGids(5);
  const bad = gids[2] ?? "";
  for (const op of ["try", "confirm"] as const) {
    const before = await world.marksOf(bad);
    const requests = gids.map((gid) => ({ gid, fails: gid === bad }));
    const [answers = []] = await world.operate({ op, requests });
    expect(answers.map((answer) => "error" in answer)).toEqual(gids.map((gid) => gid === bad));
    expect(await world.marksOf(bad)).toEqual(before);
    expect(await world.ask(op, bad)).toEqual({ effect: expect.any(Number) });
  }
  const [cancelled] = world.newGids(1);
  await world.ask("try", cancelled ?? "");
  const before = await world.marksOf(cancelled ?? "");
  expect(await world.ask("cancel", cancelled ?? "", true)).toHaveProperty("error");
  expect(await world.marksOf(cancelled ?? "")).toEqual(before);
  // Nothing was undone: it may still be confirmed.
  expect(await world.ask("confirm", cancelled ?? "")).toHaveProperty("effect");
});

test("in any order, several operations in one transaction, and many at once: all comes out right", async () => {
  const random = seededRandom("barrier");
  for (let round = 0; round < 15; round += 1) {
    const gids = world.newGids(6);
    const draw = () => gids[random.between(0, gids.length - 1)] ?? "";
    const batch = (): Batch => ({
      op: (["try", "try", "confirm", "cancel"] as const)[random.between(0, 3)] ?? "try",
      requests: times(random.between(1, 8), () => ({ gid: draw(), fails: random.chance(0.1) })),
    });
    // One transaction of several first. Those that meet are of one batch each, as in any service of ours.
    const transactions = [times(random.between(0, 4), batch), ...times(10, () => [batch()])];
    const [first = [], ...rest] = transactions;
    const answered = [
      await world.operate(...first),
      ...(await Promise.all(rest.map((one) => world.operate(...one)))),
    ];
    const given = transactions.flatMap((batches, at) =>
      batches.flatMap(({ op, requests }, which) =>
        requests.map(({ gid }, index) => ({ op, gid, answer: answered[at]?.[which]?.[index] })),
      ),
    );
    for (const gid of gids) await expectRight(gid, given);
  }
  world.errors.length = 0;
});

async function expectRight(
  gid: string,
  given: readonly { op: TccOp; gid: string; answer: Answer | undefined }[],
): Promise<void> {
  const effects = await world.effectsOf(gid);
  const had = effects.map(({ op }) => op).join(" ");
  expect(["", "try", "try confirm", "try cancel"]).toContain(had);
  for (const { op, answer } of given.filter((one) => one.gid === gid)) {
    const effect = effects.find((one) => one.op === op);
    // Whoever was told of an effect was told of the one that there is.
    if (answer && "effect" in answer) expect(answer).toEqual({ effect: effect?.id });
    if (answer && "empty" in answer) expect({ op, had }).toEqual({ op: "cancel", had: "" });
  }
}
