import { followRevocations, type TokenVersionChanges } from "../../services/gateway/revocations.ts";
import { until } from "../support/until.ts";

/** What a gateway knows of revoked tokens while it hears of them, and while it does not. */

const errors: { error: unknown; loaded: boolean }[] = [];
beforeEach(() => errors.splice(0));

function follow(changesAfter: (revision: number) => Promise<TokenVersionChanges>) {
  return followRevocations({
    changesAfter,
    intervalMs: 5,
    stalenessMaxMs: 60_000,
    onError: (error, loaded) => void errors.push({ error, loaded }),
  });
}

const nothing = (revision: number) => ({ items: [], revision, more: false });

test("it is loaded once all pages are there, and goes on from the last revision", async () => {
  const asked: number[] = [];
  const revocations = follow(async (after) => {
    asked.push(after);
    if (after === 0) return { items: [{ subject: "a", version: 1 }], revision: 7, more: true };
    if (after === 7) return { items: [{ subject: "b", version: 2 }], revision: 9, more: false };
    return nothing(after);
  });
  expect(() => revocations.isRevoked("a", 0)).toThrow(
    expect.objectContaining({ type: "REVOCATIONS_UNAVAILABLE" }),
  );
  revocations.start();
  await revocations.loaded;
  expect([revocations.isRevoked("a", 0), revocations.isRevoked("a", 1)]).toEqual([true, false]);
  expect([revocations.isRevoked("b", 1), revocations.isRevoked("c", 0)]).toEqual([true, false]);
  await until("it has asked again", () => asked.length > 3);
  expect(asked.slice(0, 4)).toEqual([0, 7, 9, 9]);
  await revocations.stop();
});

test("an outage leaves it with what it knows, and in the end with nothing", async () => {
  let away = false;
  const revocations = follow(async (after) => {
    if (away) throw new Error("nobody there");
    return { items: [{ subject: "a", version: 1 }], revision: after + 1, more: false };
  });
  revocations.start();
  await revocations.loaded;
  away = true;
  await until("it has failed", () => errors.length > 0);
  expect(errors[0]).toMatchObject({ loaded: true });
  expect([revocations.isRevoked("a", 0), revocations.isRevoked("b", 0)]).toEqual([true, false]);
  const clock = jest.spyOn(performance, "now").mockReturnValue(performance.now() + 120_000);
  expect(() => revocations.isRevoked("b", 0)).toThrow(expect.objectContaining({ code: 503 }));
  clock.mockRestore();
  away = false;
  await until("it knows again", () => !revocations.isRevoked("b", 0));
  await revocations.stop();
});

test("who tells of a failure knows whether there were news before it", async () => {
  let away = true;
  const revocations = follow(async (after) => {
    if (away) throw new Error("nobody there");
    return nothing(after);
  });
  revocations.start();
  await until("it has failed", () => errors.length > 0);
  expect(errors[0]).toMatchObject({ loaded: false });
  away = false;
  await revocations.loaded;
  await revocations.stop();
});
