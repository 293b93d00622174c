import fc from "fast-check";
import { atRest } from "../support/audit.ts";
import { fingerprint } from "../support/fingerprint.ts";
import { type Draft, shown } from "../support/fuzz/draft.ts";
import { OPERATIONS } from "../support/fuzz/operations.ts";
import { faultOf } from "../support/fuzz/oracle.ts";
import { requests } from "../support/fuzz/requests.ts";
import { INSIDES, Scene } from "../support/fuzz/scene.ts";
import { Tally } from "../support/fuzz/tally.ts";
import type { HttpAnswer } from "../support/http.ts";
import { created, paid } from "../support/money.ts";
import { seededRandom } from "../support/random.ts";
import type { Shared } from "../support/use-system.ts";
import { threeLines } from "./money-payments.suite.ts";

/**
 * Requests of every kind to every operation, made of the OpenAPI document: such as it allows, nearly such, and such as
 * only an attacker sends. FUZZ_REQUESTS says how many; TEST_SEED, and FUZZ_PATH as a failure prints it, draw the same again.
 */

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_500);
/** At once: of one order, too. */
const BATCH = 8;
const testMsMax = 120_000 + REQUESTS * 100;

export function fuzzing(shared: () => Shared): void {
  const { seed } = seededRandom("fuzz");
  const tally = new Tally();
  const refused: Draft[] = [];
  let scene: Scene;
  beforeAll(async () => {
    const { system } = shared();
    scene = new Scene(system);
    const lines = await threeLines(system);
    for (const make of [created, created, created, paid, paid]) await make(system, lines);
    await scene.look();
  }, 120_000);
  afterAll(() => {
    process.stderr.write(`fuzz: ${tally.told()}\n`);
  });

  /** Batches that are sent at once, of some of all the requests. */
  const sendAll = (what: string, share: number, drafts: fc.Arbitrary<Draft>, check: Check) =>
    fc.assert(
      fc.asyncProperty(fc.array(drafts, { minLength: BATCH, maxLength: BATCH }), async (batch) => {
        await Promise.all(
          batch.map(async (draft) => {
            const request = scene.real(draft);
            const answer = await answered(scene, request);
            tally.count(what, request, answer);
            check(request, answer);
          }),
        );
      }),
      // A path leads to one property's values: only the test that failed is run with it.
      {
        seed,
        numRuns: Math.ceil((REQUESTS * share) / BATCH),
        path: process.env.FUZZ_PATH,
        endOnFailure: false,
      },
    );

  test(
    "what the document does not allow is refused, and changes no row",
    async () => {
      const { system } = shared();
      await atRest(system.sql);
      const before = await fingerprint(system);
      const wrong = requests(25).filter((draft) => faultOf(plain(draft)) !== undefined);
      await sendAll("refusable", 0.4, wrong, (request, { status, text }) => {
        const fault = faultOf(request);
        if (status < 400)
          throw new Error(`${shown(request)} was answered ${status} ${text}, although: ${fault}`);
      });
      await expect(fingerprint(system)).resolves.toEqual(before);
    },
    testMsMax,
  );

  test(
    "what the document allows is taken for that, whatever then becomes of it",
    async () => {
      await sendAll("mixed", 0.6, requests(4), (request, answer) => {
        const { status, body } = answer;
        if (status >= 400 && status < 500) refused.push(request);
        if (faultOf(request) === undefined && isForForm(request, answer))
          throw new Error(
            `${shown(request)} was answered ${status} ${JSON.stringify(body)}, although it is allowed`,
          );
      });
    },
    testMsMax,
  );

  test(
    "what was refused and is refused again changes no row",
    async () => {
      const { system } = shared();
      await scene.letGo();
      await atRest(system.sql);
      let drafts: readonly Draft[] = refused.slice(0, AGAIN_MAX);
      let before = await fingerprint(system);
      for (
        let stillRefused = await refusedOf(scene, drafts);
        ;
        stillRefused = await refusedOf(scene, drafts)
      ) {
        // Some may be possible now: what is left of them is refused for good.
        if (stillRefused.length === drafts.length) break;
        drafts = stillRefused;
        await scene.letGo();
        await atRest(system.sql);
        before = await fingerprint(system);
      }
      await expect(fingerprint(system)).resolves.toEqual(before);
      process.stderr.write(`fuzz: ${drafts.length} of ${refused.length} refused again\n`);
      expect(drafts.length).toBeGreaterThan(Math.min(refused.length, AGAIN_MAX) / 2);
    },
    testMsMax,
  );

  test("every operation was asked for, and most of them have done something", () => {
    const names = OPERATIONS.map(({ id }) => id);
    expect(names.filter((id) => tally.answers(id) === 0)).toEqual([]);
    expect(names.filter((id) => tally.successes(id) > 0).length).toBeGreaterThan(names.length / 2);
  });
}

type Check = (request: Draft, answer: HttpAnswer) => void;

/** Refusals of a request's form: of what is allowed there are none. */
const FOR_FORM: readonly number[] = [400, 401, 405, 413, 415];
/** Rules that a schema cannot tell, by the fields that they are about: the operation's description tells them. */
const BEYOND_SCHEMA: Readonly<Record<string, readonly string[]>> = {
  createOrder: ["customerId", "items"],
  createOrderSaga: ["customerId", "items"],
  listOrders: ["from", "to"],
  redriveDeadLetters: ["letterIds"],
  discardDeadLetters: ["letterIds"],
};

function isForForm({ operation }: Draft, { status, body }: HttpAnswer): boolean {
  if (body?.code !== "VALIDATION_FAILED") return FOR_FORM.includes(status);
  const fields = (body.errors as { field: string }[]).map(({ field }) => field);
  return !fields.every((field) => BEYOND_SCHEMA[operation.id]?.includes(field));
}

/** More would say the same. */
const AGAIN_MAX = 2_000;

/** Sends them one after the other; answers those that are refused. */
async function refusedOf(scene: Scene, drafts: readonly Draft[]): Promise<Draft[]> {
  const refused: Draft[] = [];
  for (const draft of drafts) {
    const { status } = await answered(scene, draft);
    if (status >= 400) refused.push(draft);
  }
  return refused;
}

/** Ids are ids, whichever they are. */
function plain(draft: Draft): Draft {
  const filled = (text: string) =>
    text.replace(/@id:cursor:\d+@/g, "cursor").replace(/@id:\w+:\d+@/g, SOME_ID);
  return {
    ...draft,
    path: Object.fromEntries(Object.entries(draft.path).map(([name, text]) => [name, filled(text)])),
    query: draft.query.map(([name, text]) => [name, filled(text)] as const),
    body: draft.body && { ...draft.body, text: filled(draft.body.text) },
  };
}
const SOME_ID = "01990000-0000-7000-8000-0000000000a1";

/** What an answer may quote. */
function sent({ path, query, body }: Draft): string {
  const texts = [...Object.values(path), ...query.flat(), body?.text ?? ""];
  return texts.map((text) => text.replaceAll("%24", "$").replaceAll("%2e", ".")).join(" ");
}

/** The answer, when it is one that may be given to anybody. */
async function answered(scene: Scene, request: Draft): Promise<HttpAnswer> {
  const answer = await scene.send(request).catch((cause: unknown) => {
    throw new Error(`${shown(request)}: ${String(cause)}`, { cause });
  });
  const { status, text, headers } = answer;
  const wrong = (problem: string) =>
    new Error(`${shown(request)} was answered ${status} ${text}: ${problem}`);
  if (status >= 500 && status !== 503 && status !== 504) throw wrong("an error of ours");
  if (status === 503 && headers["retry-after"] === undefined)
    throw wrong("it does not say when to come again");
  if (status >= 400 && INSIDES.test(text) && !INSIDES.test(sent(request)))
    throw wrong("it tells of our insides");
  return answer;
}
