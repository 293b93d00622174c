import { createWaiters } from "../../lib/waiters.ts";

const long = 60_000;

test("everyone who waits for an id is told, and nobody else", async () => {
  const waiters = createWaiters();
  const first = waiters.wait("a", long);
  const second = waiters.wait("a", long);
  const other = waiters.wait("b", 20);
  waiters.tell(["a"]);
  await expect(Promise.all([first, second])).resolves.toEqual([true, true]);
  await expect(other).resolves.toBe(false);
});

test("a wait ends by itself when its time is up, and the others go on", async () => {
  const waiters = createWaiters();
  const short = waiters.wait("a", 10);
  const patient = waiters.wait("a", long);
  await expect(short).resolves.toBe(false);
  expect(waiters.awaited()).toEqual(["a"]);
  waiters.tell(["a"]);
  await expect(patient).resolves.toBe(true);
});

test("many ids are told at once; one that nobody waits for is no matter", async () => {
  const waiters = createWaiters();
  const waiting = ["a", "b", "c"].map((id) => waiters.wait(id, long));
  waiters.tell(["c", "nobody", "a", "b", "a"]);
  await expect(Promise.all(waiting)).resolves.toEqual([true, true, true]);
});

test("what was told before the wait is not remembered", async () => {
  const waiters = createWaiters();
  waiters.tell(["a"]);
  await expect(waiters.wait("a", 5)).resolves.toBe(false);
});

test("it lists what is awaited and forgets it with the last one who waits", async () => {
  const waiters = createWaiters();
  const timedOut = waiters.wait("a", 5);
  const told = waiters.wait("b", long);
  expect(waiters.awaited()).toEqual(["a", "b"]);
  await timedOut;
  expect(waiters.awaited()).toEqual(["b"]);
  waiters.tell(["b"]);
  expect(waiters.awaited()).toEqual([]);
  await told;
});

test("one who begins to wait in the moment of the telling waits for the next", async () => {
  const waiters = createWaiters();
  const next = waiters.wait("a", long).then(() => waiters.wait("a", long));
  waiters.tell(["a"]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(waiters.awaited()).toEqual(["a"]);
  waiters.tell(["a"]);
  await expect(next).resolves.toBe(true);
});
