import { randomUUID } from "node:crypto";
import type { OrderView } from "../../lib/contracts.ts";
import { DEMO_CUSTOMERS } from "../../migrations/seeds/demo.ts";
import type { Person } from "../../scripts/demo/tokens.ts";
import { ROUTES } from "../../services/gateway/routes.ts";
import {
  ACCESS,
  CALLERS,
  type Caller,
  type PolicyLine,
  SIGNED,
  type Subjects,
} from "../support/access-policy.ts";
import { atRest } from "../support/audit.ts";
import { fingerprint } from "../support/fingerprint.ts";
import { demoKey, forgeTokens } from "../support/forged-tokens.ts";
import type { HttpAnswer } from "../support/http.ts";
import { created, paid, paymentOf, refusalOf } from "../support/money.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

const TOKENS: Readonly<Record<Caller, Person>> = {
  owner: "customer",
  other: "otherCustomer",
  staff: "staff",
  operator: "operator",
  service: "service",
};
const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;
const lines = Object.entries(ACCESS);
const casesOf = (wanted: (status: number) => boolean) =>
  lines.flatMap(([route, line]) =>
    CALLERS.flatMap((caller, index) => {
      const status = line.answers[index] ?? 0;
      return wanted(status) ? [{ route, line, caller, status }] : [];
    }),
  );
const isGranted = (status: number) => status !== 403 && status !== 404;

interface Scene {
  readonly system: System;
  readonly subjects: Subjects;
  /** The order of the lines that share one. */
  readonly sharedOrder: OrderView;
  readonly tokens: Readonly<Record<string, string>>;
}

/** Every route and every kind of caller: who gets what is written in access-policy.ts, and nothing else happens. */
export function access(shared: () => Shared): void {
  let scene: Scene | undefined;
  const current = () => {
    if (scene === undefined) throw new Error("there is no scene");
    return scene;
  };
  beforeAll(async () => {
    scene = await prepare(shared().system);
  }, 120_000);

  test("every route has its line in access-policy.ts, and every line its route", () => {
    const [signed, others] = [
      ROUTES.filter((route) => route.signed),
      ROUTES.filter((route) => !route.signed),
    ];
    expect(Object.keys(ACCESS).sort()).toEqual(others.map(nameOf).sort());
    expect([...SIGNED].sort()).toEqual(signed.map(nameOf).sort());
  });

  falseTokens(current);
  callers(current);

  test("what was refused is in the audit trail, counted, and without who stands behind an address", async () => {
    const { system } = current();
    const recorded = () =>
      system.sql<{ action: string; actor: string; count: number; network: string }>(
        "saga",
        `select action, min(actor) as actor, sum((detail ->> 'count')::int)::int as count,
                min(detail ->> 'network') as network
         from audit_trail where target = 'POST /customers' and action like 'auth.%' group by action order by action`,
      );
    const told = await until("both kinds are told", async () => {
      const rows = await recorded();
      return rows.length === 2 && rows;
    });
    expect(told).toMatchObject([
      { action: "auth.forbidden", count: expect.any(Number), network: "127.0.0.0/24" },
      { action: "auth.refused", actor: "unknown", network: "127.0.0.0/24" },
    ]);
  });
}

function falseTokens(current: () => Scene): void {
  test("a token that is false in any way, or none, opens no route and changes nothing", async () => {
    const { system, subjects, tokens } = current();
    const { genuine, "without roles": _, ...others } = tokens;
    expect(await ask(system, "GET /orders/:orderId", subjects, { token: genuine })).toMatchObject({
      status: 200,
    });
    const before = await fingerprint(system);
    const kinds = [["missing", null] as const, ...Object.entries(others)];
    expect(kinds).toHaveLength(11);
    const cases = lines.flatMap(([route, line]) =>
      kinds.map(([kind, token]) => ({ route, line, kind, token })),
    );
    const answers = cases.map(async ({ route, line, kind, token }) => {
      const body = bodyOf(line, subjects, "owner");
      return { route, kind, ...challengeOf(await ask(system, route, subjects, { token, body })) };
    });
    const expected = cases.map(({ route, kind }) => {
      const challenge = `Bearer realm="holdfast"${kind === "missing" ? "" : ', error="invalid_token"'}`;
      return { route, kind, status: 401, code: "UNAUTHENTICATED", challenge };
    });
    await expect(Promise.all(answers)).resolves.toEqual(expected);
    await expect(fingerprint(system)).resolves.toEqual(before);
  }, 60_000);

  test("a token without roles opens nothing", async () => {
    const { system, subjects, tokens } = current();
    for (const [route, line] of lines) {
      const body = bodyOf(line, subjects, "owner");
      const answer = await ask(system, route, subjects, { token: tokens["without roles"], body });
      expect({ route, ...refusalOf(answer) }).toEqual({ route, status: 403, code: "FORBIDDEN" });
    }
  });

  test.each(SIGNED)("%s is opened by no token, and asks for none", async (route) => {
    const { system, subjects, tokens } = current();
    for (const token of [null, tokens.genuine, system.demo.tokens.service]) {
      const answer = await ask(system, route, subjects, { token, body: {} });
      expect(challengeOf(answer)).toEqual({
        status: 401,
        code: "WEBHOOK_SIGNATURE_INVALID",
        challenge: 'Webhook-Signature realm="holdfast"',
      });
    }
  });
}

function callers(current: () => Scene): void {
  test("a caller who may not is refused, and changes nothing", async () => {
    const { system, subjects } = current();
    const before = await fingerprint(system);
    for (const { route, line, caller, status } of casesOf((status) => !isGranted(status))) {
      const token = system.demo.tokens[TOKENS[caller]];
      const answer = await ask(system, route, subjects, { token, body: bodyOf(line, subjects, caller) });
      const code = status === 403 ? "FORBIDDEN" : expect.stringMatching(/_NOT_FOUND$/);
      expect({ route, caller, ...refusalOf(answer) }).toEqual({ route, caller, status, code });
    }
    await expect(fingerprint(system)).resolves.toEqual(before);
  }, 60_000);

  test.each(casesOf(isGranted))("$route by $caller: $status", async ({ route, line, caller, status }) => {
    const { system, subjects, sharedOrder } = current();
    const order = line.takesOrder === "own" ? await freshOrder(system) : sharedOrder;
    const mine = line.takesOrder ? { ...subjects, orderId: order.orderId } : subjects;
    const token = system.demo.tokens[TOKENS[caller]];
    const answer = await ask(system, route, mine, { token, body: bodyOf(line, mine, caller) });
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
    // A list that holds what is somebody else's is as bad as a route that gives it.
    if (caller === "other") expect(answer.text).not.toContain(subjects.orderId);
  });
}

const bodyOf = ({ body }: PolicyLine, subjects: Subjects, caller: Caller) => body?.(subjects, caller);

/** What a 401 is told by. */
const challengeOf = (answer: HttpAnswer) => ({
  ...refusalOf(answer),
  challenge: answer.headers["www-authenticate"],
});

interface Asking {
  readonly token: string | null | undefined;
  readonly body?: object;
}

async function ask(
  system: System,
  route: string,
  subjects: Subjects,
  { token = null, body }: Asking,
): Promise<HttpAnswer> {
  const [method = "", path = ""] = route.split(" ");
  const filled = path.replace(/:(\w+)/g, (_, name: string) => {
    const value: unknown = Reflect.get(subjects, name);
    if (typeof value !== "string") throw new Error(`${route}: access-policy.ts has no subject ${name}`);
    return value;
  });
  const authorization = token === null ? null : `Bearer ${token}`;
  return system.api(filled, {
    method,
    authorization,
    key: randomUUID(),
    endless: ACCESS[route]?.endless,
    ...(body && { body }),
  });
}

const freshOrder = (system: System) =>
  created(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);

async function prepare(system: System): Promise<Scene> {
  const productId = system.demo.products.plenty;
  const { orderId, sagaId } = await paid(system, [{ productId, quantity: 1 }]);
  const sharedOrder = await freshOrder(system);
  const [transaction] = await system.sql<{ id: string }>(
    "saga",
    "select id from tcc_transactions where business_key = $1",
    [orderId],
  );
  const subjects = {
    orderId,
    sagaId,
    transactionId: transaction?.id ?? "",
    paymentId: (await paymentOf(system, orderId)).paymentId,
    productId,
    customerId: DEMO_CUSTOMERS.active,
    letterId: randomUUID(),
    id: randomUUID(),
    provider: "simulator",
  };
  await atRest(system.sql);
  const tokens = await forgeTokens(demoKey(system.dataDir), subjects.customerId);
  return { system, subjects, sharedOrder, tokens };
}
