import { randomUUID } from "node:crypto";
import { type Context, ServiceBroker } from "moleculer";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import type { IdempotencyClaim, IdempotentAnswer } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { defineService } from "../../lib/define.ts";
import { statement } from "../../lib/statement.ts";
import { database } from "../../mixins/database.mixin.ts";
import { idempotency, type OnceRequest } from "../../mixins/idempotency.mixin.ts";
import { run, useServer } from "../support/service-database.ts";

/** The idempotency mixin in a service as any other: whatever repeats, one effect and one answer. */

interface Note {
  readonly claim: IdempotencyClaim;
  readonly text: string;
  /** The process dies, as far as the database can tell, after the effect and before the commit. */
  readonly crashes?: boolean;
}
type Answer = IdempotentAnswer<unknown>;

const WRITE = statement("test_note", "insert into notes (id, text) values ($1, $2)");

const notes = () =>
  defineService<{ write: Batcher<Note, Answer> }>()({
    name: "notes",
    mixins: [idempotency(), database("order")],
    methods: {
      requestOf(note: Note): OnceRequest<Note> {
        // Each asker would give an answer of its own: the first one's is everybody's.
        const id = randomUUID();
        const body = { z: "last", text: note.text, id, a: 1.5 };
        return {
          claim: note.claim,
          work: note,
          answer: { status: 201, headers: { location: `/${id}` }, body },
        };
      },
      async perform(tx: Tx, works: readonly Note[]): Promise<void> {
        for (const { claim, text } of works) await tx.query(WRITE, [claim.key, text]);
        if (works.some(({ crashes }) => crashes)) throw new RangeError("crashed");
      },
    },
    created() {
      this.write = createBatcher({
        name: "notes",
        sizeMax: 8,
        concurrency: 4,
        run: (asked) =>
          this.transaction((tx) =>
            this.once(tx, asked.map(this.requestOf), (works) => this.perform(tx, works)),
          ),
      });
    },
    actions: {
      write: {
        callers: [],
        params: { claim: "object", text: "string", crashes: { type: "boolean", optional: true } },
        handler(ctx: Context<Note>) {
          return this.write(ctx.params);
        },
      },
    },
  });

const server = useServer();
const brokers: ServiceBroker[] = [];
let url: string;

/** Two nodes of one service. */
beforeAll(async () => {
  ({ url } = await server.fresh("order"));
  process.env.ORDER_DATABASE_URL = url;
  // On a busy machine the last of many that meet at one key waits long.
  process.env.DATABASE_LOCK_TIMEOUT_MS = "20000";
  process.env.DATABASE_STATEMENT_TIMEOUT_MS = "20000";
  await run(url, "create table notes (id text, text text)");
  await run(
    url,
    "insert into idempotency_records (subject, key, operation, request_hash, status) values ('old', 'open', 'op', 'h', 'PROCESSING')",
  );
  for (const nodeID of ["a", "b"]) {
    const broker = new ServiceBroker({ nodeID, logger: false });
    broker.createService(notes());
    brokers.push(broker);
    await broker.start();
  }
});
afterAll(() => Promise.all(brokers.map((broker) => broker.stop())));

const claimOf = (key: string, change: Partial<IdempotencyClaim> = {}): IdempotencyClaim => ({
  subject: "alice",
  key,
  operation: "POST /notes",
  requestHash: "hash",
  ...change,
});
async function write(note: Note, node = 0): Promise<Answer> {
  const broker = brokers[node % brokers.length];
  if (!broker) throw new Error("no broker runs");
  return await broker.call<Answer, Note>("notes.write", note);
}
const textsOf = async (key: string) =>
  (await run<{ text: string }>(url, "select text from notes where id = $1", [key])).map(({ text }) => text);
const expire = (key: string) =>
  run(url, "update idempotency_records set expires_at = now() - interval '1 millisecond' where key = $1", [
    key,
  ]);

test("the first request has its effect, a later one gets the stored answer byte for byte", async () => {
  const key = randomUUID();
  const first = await write({ claim: claimOf(key), text: "x" });
  expect(first).toMatchObject({ replayed: false, status: 201, body: { text: "x" } });
  const again = await write({ claim: claimOf(key), text: "x" });
  expect(again).toEqual({ ...first, replayed: true });
  expect(JSON.stringify(again.body)).toBe(JSON.stringify(first.body));
  await expect(textsOf(key)).resolves.toEqual(["x"]);
});

test("fifty at once under one key, in many batches on two nodes: one effect, one answer", async () => {
  const key = randomUUID();
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, node) => write({ claim: claimOf(key), text: "x" }, node)),
  );
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  expect(new Set(answers.map(({ body, headers }) => JSON.stringify({ body, headers }))).size).toBe(1);
  await expect(textsOf(key)).resolves.toEqual(["x"]);
});

test("batches with the same keys in any order never wait for each other in a circle", async () => {
  const keys = Array.from({ length: 30 }, () => randomUUID());
  const shuffled = () => [...keys].sort(() => Math.random() - 0.5);
  const rounds = Array.from({ length: 6 }, (_, node) =>
    Promise.all(shuffled().map((key) => write({ claim: claimOf(key), text: "x" }, node))),
  );
  const answers = (await Promise.all(rounds)).flat();
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(keys.length);
  const deadlocks = await run<{ deadlocks: number }>(
    url,
    "select deadlocks::int from pg_stat_database where datname = current_database()",
  );
  expect(deadlocks).toEqual([{ deadlocks: 0 }]);
});

const reused = { type: "IDEMPOTENCY_KEY_REUSED", code: 422, data: { operation: "POST /notes" } };

test("the same key for another payload or another operation is refused, now and later", async () => {
  const key = randomUUID();
  await write({ claim: claimOf(key), text: "x" });
  await expect(write({ claim: claimOf(key, { requestHash: "other" }), text: "y" })).rejects.toMatchObject(
    reused,
  );
  const elsewhere = claimOf(key, { operation: "POST /letters" });
  await expect(write({ claim: elsewhere, text: "x" })).rejects.toMatchObject({
    ...reused,
    data: { operation: "POST /letters" },
  });
  await expect(textsOf(key)).resolves.toEqual(["x"]);
});

test("two payloads under one key in one batch: one is done, the other refused", async () => {
  const key = randomUUID();
  const settled = await Promise.allSettled([
    write({ claim: claimOf(key), text: "x" }),
    write({ claim: claimOf(key, { requestHash: "other" }), text: "y" }),
    write({ claim: claimOf(key), text: "x" }),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(settled[1]).toMatchObject({ reason: reused });
  await expect(textsOf(key)).resolves.toEqual(["x"]);
});

test("keys of different subjects never meet", async () => {
  const key = randomUUID();
  const [alice, bob] = await Promise.all([
    write({ claim: claimOf(key), text: "alice's" }),
    write({ claim: claimOf(key, { subject: "bob", requestHash: "other" }), text: "bob's" }),
  ]);
  expect([alice.replayed, bob.replayed]).toEqual([false, false]);
  expect((await textsOf(key)).sort()).toEqual(["alice's", "bob's"]);
});

test("a request that dies before its commit leaves its key free, and harms none of its batch", async () => {
  const [key, other] = [randomUUID(), randomUUID()];
  const settled = await Promise.allSettled([
    write({ claim: claimOf(other), text: "o" }),
    write({ claim: claimOf(key), text: "x", crashes: true }),
  ]);
  expect(settled).toMatchObject([{ status: "fulfilled" }, { reason: { message: "crashed" } }]);
  await expect(textsOf(key)).resolves.toEqual([]);
  await expect(write({ claim: claimOf(key), text: "x" })).resolves.toMatchObject({ replayed: false });
  await expect(Promise.all([textsOf(key), textsOf(other)])).resolves.toEqual([["x"], ["o"]]);
});

test("a record past its time is as good as none: many at once then have one new effect", async () => {
  const key = randomUUID();
  const first = await write({ claim: claimOf(key), text: "first" });
  await expire(key);
  const claim = claimOf(key, { requestHash: "another day" });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, node) => write({ claim, text: "second" }, node)),
  );
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  for (const { body } of answers) expect(body).not.toEqual(first.body);
  await expect(textsOf(key)).resolves.toEqual(["first", "second"]);
});

test("a record lives for a day from the end of its request", async () => {
  const key = randomUUID();
  await write({ claim: claimOf(key), text: "x" });
  const lifetimes = await run(
    url,
    "select status, extract(epoch from expires_at - completed_at)::int / 3600 as hours from idempotency_records where key = $1",
    [key],
  );
  expect(lifetimes).toEqual([{ status: "COMPLETED", hours: 24 }]);
});

test("a key whose first request is still in hand is told so, and to whom it belongs first", async () => {
  const open = { subject: "old", key: "open", operation: "op", requestHash: "h" };
  await expect(write({ claim: open, text: "x" })).rejects.toMatchObject({
    type: "REQUEST_IN_PROGRESS",
    code: 409,
    data: { retryAfterSeconds: 1 },
  });
  await expect(write({ claim: { ...open, requestHash: "other" }, text: "x" })).rejects.toMatchObject({
    type: "IDEMPOTENCY_KEY_REUSED",
  });
});
