import { DEFAULTS } from "../../../scripts/audit/options.ts";
import { runAudit } from "../../../scripts/audit/run.ts";
import { PROVIDER_BOOKS } from "../../support/provider-books.ts";
import type { Cluster } from "./cluster.ts";
import { type Asked, acceptedOf, type History, isAccepted } from "./history.ts";

/** What clients were told, held against what is stored once all has come to rest. */

const nameOf = ({ operation, key, path }: Asked) => `${operation} ${path} under ${key}`;

/** What the answers say by themselves. */
export function answerViolations({ asked, broken }: History): string[] {
  const found = [...broken].map((problem) => `contract: ${problem}`);
  for (const one of asked) {
    const accepted = one.answers.filter(isAccepted);
    const different = new Set(one.answers.map(({ status, text }) => `${status} ${text}`));
    if (one.answers.length === 0) found.push(`${nameOf(one)} has no definite answer`);
    if (accepted.length > 0 && one.refusable)
      found.push(`${nameOf(one)} was accepted and should not have been`);
    if (accepted.length > 0 && different.size > 1)
      found.push(`${nameOf(one)} was answered differently: ${[...different].join(" | ")}`);
  }
  return found;
}

interface Effect {
  readonly id: string;
  /** The order or payment it is about. */
  readonly about: string;
}

interface Kind {
  readonly operation: Asked["operation"];
  readonly database: "saga" | "payment";
  /** Rows that only requests of clients make, with what the answer calls their id. */
  readonly rows: string;
  readonly idField: string;
  readonly aboutOf: (asked: Asked) => string;
}

const idInPath = ({ path }: Asked) => path.split("/")[2] ?? "";
const KINDS: readonly Kind[] = [
  {
    operation: "create",
    database: "saga",
    rows: "select id, business_key as about from saga_instances where saga_type = 'CREATE_ORDER'",
    idField: "sagaId",
    aboutOf: ({ answers }) => String(answers.find(isAccepted)?.body.orderId),
  },
  {
    operation: "pay",
    database: "saga",
    rows: "select id, business_key as about from tcc_transactions",
    idField: "transactionId",
    aboutOf: idInPath,
  },
  {
    operation: "refund",
    database: "payment",
    rows: "select id, payment_id as about from refunds where saga_id is null",
    idField: "refundId",
    aboutOf: idInPath,
  },
];

/** Each acknowledged request once, and nothing that nobody was told of. */
export async function effectViolations(cluster: Cluster, history: History): Promise<string[]> {
  const found: string[] = [];
  for (const { operation, database, rows, idField, aboutOf } of KINDS) {
    const effects = new Map((await cluster.sql<Effect>(database, rows)).map(({ id, about }) => [id, about]));
    const told = new Map<string, Asked>();
    for (const asked of acceptedOf(history, operation)) {
      const id = String(asked.answers.find(isAccepted)?.body[idField]);
      const before = told.get(id);
      told.set(id, asked);
      if (before !== undefined)
        found.push(`${nameOf(asked)} was answered with ${id}, as was ${nameOf(before)}`);
      const about = effects.get(id);
      if (about === undefined)
        found.push(`${nameOf(asked)} was acknowledged, and its ${idField} ${id} is not there`);
      else if (about !== aboutOf(asked)) found.push(`${nameOf(asked)}: ${idField} ${id} is about ${about}`);
    }
    const open = unknownAbout(history, operation);
    for (const [id, about] of effects) {
      if (!told.has(id) && !open.has(about))
        found.push(`${idField} ${id}, about ${about}, was acknowledged to nobody`);
    }
  }
  return [...found, ...(await cancellationViolations(cluster, history))];
}

/**
 * A refusal is no promise about an earlier sending whose outcome is open: that may still arrive (docs/idempotency.md:
 * a refusal leaves the key free). What such requests were about.
 */
function unknownAbout({ asked }: History, operation: Asked["operation"]): ReadonlySet<string> {
  const late = asked.filter(
    (one) =>
      one.operation === operation && one.unknowns > 0 && !one.answers.some(isAccepted) && !one.refusable,
  );
  return new Set(late.map(idInPath));
}

/** Several requests may ask for one cancellation, and that of a draft is its own saga turned round. */
async function cancellationViolations({ sql }: Cluster, history: History): Promise<string[]> {
  const rows = await sql<Effect & { type: string }>(
    "saga",
    "select id, business_key as about, saga_type as type from saga_instances",
  );
  const sagas = new Map(rows.map((row) => [row.id, row]));
  const told = new Set<string>();
  const found: string[] = [];
  for (const asked of acceptedOf(history, "cancel")) {
    const id = String(asked.answers.find(isAccepted)?.body.sagaId);
    told.add(id);
    if (sagas.get(id)?.about !== idInPath(asked))
      found.push(`${nameOf(asked)} was acknowledged with saga ${id}, which is about ${sagas.get(id)?.about}`);
  }
  const open = unknownAbout(history, "cancel");
  const strange = rows.filter(
    ({ id, about, type }) => type === "CANCEL_ORDER" && !told.has(id) && !open.has(about),
  );
  return [...found, ...strange.map(({ id, about }) => `saga ${id} cancels order ${about} for nobody`)];
}

/** Whatever a client was shown has happened: no read was of something that a crash then took back. */
export async function readViolations({ sql }: Cluster, { seen }: History): Promise<string[]> {
  const histories = await sql<{ entry: string }>(
    "order",
    "select distinct order_id || ' ' || status as entry from order_status_history",
  );
  const cancelled = await sql<{ entry: string }>(
    "saga",
    // An order that failed before it was drafted is told of by its saga alone.
    "select business_key || ' cancelled' as entry from saga_instances where state = 'COMPENSATED'",
  );
  const moves = new Set([...histories, ...cancelled].map(({ entry }) => entry));
  const transactions = await sql<{ id: string; state: string }>(
    "saga",
    "select id, state from tcc_transactions",
  );
  const states = new Map(transactions.map(({ id, state }) => [id, state]));
  return [...seen.values()].flatMap(({ what, id, state }) => {
    if (what === "order")
      return state === "draft" || moves.has(`${id} ${state}`)
        ? []
        : [`order ${id} was shown as ${state}, and never was`];
    const final = state === "CONFIRMED" || state === "CANCELLED";
    return !final || states.get(id) === state
      ? []
      : [`transaction ${id} was shown as ${state}, and is ${states.get(id)}`];
  });
}

/** npm run audit, and the provider's own books. */
export async function auditViolations({ config, sql }: Cluster): Promise<string[]> {
  const { invariants } = await runAudit(config, { ...DEFAULTS, settleSeconds: 60 });
  const books = await sql<{ violation: string }>("payment", PROVIDER_BOOKS);
  return invariants
    .flatMap(({ id, unchecked, violations }) => [
      ...(unchecked === undefined ? [] : [`${id} unchecked: ${unchecked}`]),
      ...violations.map(({ subject, problem }) => `${id} ${subject}: ${problem}`),
    ])
    .concat(books.map(({ violation }) => violation));
}
