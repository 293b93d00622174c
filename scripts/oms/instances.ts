import type { SagaView, TransactionView } from "../../lib/contracts.ts";
import type { OperationDone, TrailEntry } from "../../lib/operator-contracts.ts";
import { newest, type OpsApi, RefusedError } from "./api.ts";
import { oneLine, reasonText, table, time } from "./render.ts";
import { firstOf, LIMIT, limitOf, type Option, type Outcome, REASON, textOf, type Verb } from "./verb.ts";

/** Sagas and transactions: to look at, and to free when they are stuck. */

type OperatedTransaction = TransactionView & { readonly stuck: boolean };

const ONE = { min: 1, max: 1 };
const LISTED: Readonly<Record<string, Option>> = {
  state: { value: "STATE", about: "only those in this state" },
  type: { value: "TYPE", about: "only those of this type" },
  limit: LIMIT,
};
const STUCK_MAX = 1_000;

const sagaRows = (sagas: readonly SagaView[]): string[] =>
  table(
    ["SAGA", "TYPE", "STATE", "STEP", "ORDER", "UPDATED", "ERROR"],
    sagas.map(({ sagaId, type, state, currentStep, orderId, updatedAt, error, steps }) => {
      const last = error ?? steps.findLast((step) => step.error !== undefined)?.error;
      return [sagaId, type, state, currentStep ?? "-", orderId, time(updatedAt), reasonText(last)];
    }),
  );

const transactionRows = (transactions: readonly OperatedTransaction[]): string[] =>
  table(
    ["TRANSACTION", "STATE", "STUCK", "ORDER", "UPDATED", "ERROR"],
    transactions.map(({ transactionId, state, stuck, orderId, updatedAt, error, participants }) => {
      const last = error ?? participants.find((one) => one.error !== undefined)?.error;
      return [transactionId, state, stuck ? "stuck" : "-", orderId, time(updatedAt), reasonText(last)];
    }),
  );

const orNone = (lines: readonly string[], none: string) => (lines.length > 1 ? lines : [none]);

const sagas: Verb = {
  name: "sagas",
  summary: "List sagas, newest first",
  options: { ...LISTED, stuck: { about: "only those that have used up their retries" } },
  async run(api, words) {
    const query = {
      state: textOf(words, "state"),
      type: textOf(words, "type"),
      stuck: words.options.stuck,
    };
    const found = await newest<SagaView>(api, "/ops/sagas", query, limitOf(words));
    return { data: found, lines: orNone(sagaRows(found), "there is none") };
  },
};

const transactions: Verb = {
  name: "transactions",
  summary: "List transactions, newest first",
  options: { ...LISTED, stuck: { about: "only those that have used up their retries" } },
  async run(api, words) {
    const query = {
      state: textOf(words, "state"),
      type: textOf(words, "type"),
      stuck: words.options.stuck,
    };
    const found = await newest<OperatedTransaction>(api, "/ops/transactions", query, limitOf(words));
    return { data: found, lines: orNone(transactionRows(found), "there is none") };
  },
};

const stuck: Verb = {
  name: "stuck",
  summary: "List the sagas and transactions that have used up their retries",
  more: "They are still tried, every five minutes. What stands in ERROR is the cause: mend it, then retry.",
  async run(api) {
    const query = { stuck: true };
    const [sagasFound, transactionsFound] = await Promise.all([
      newest<SagaView>(api, "/ops/sagas", query, STUCK_MAX),
      newest<OperatedTransaction>(api, "/ops/transactions", query, STUCK_MAX),
    ]);
    const lines = [
      ...orNone(sagaRows(sagasFound), "no saga is stuck"),
      "",
      ...orNone(transactionRows(transactionsFound), "no transaction is stuck"),
    ];
    return { data: { sagas: sagasFound, transactions: transactionsFound }, lines };
  },
};

/** What was done to it by hand; the saga service alone has to be there. */
const deedsOn = (api: OpsApi, targetId: string) =>
  newest<TrailEntry>(api, "/ops/audit", { targetId, service: "saga" }, 100);

/** An entry of the audit trail: who did what, and what was said of it. */
export function deedLine({ at, actor, action, detail }: TrailEntry): string {
  const said = Object.entries(detail).map(([name, value]) => `${name}: ${oneLine(String(value))}`);
  return `${time(at)}  ${actor} ${action}${said.length > 0 ? `  (${said.join(", ")})` : ""}`;
}

const saga: Verb = {
  name: "saga",
  summary: "Show a saga: its steps in time, and what operators did to it",
  ids: ONE,
  async run(api, words) {
    const id = firstOf(words);
    const view = await api.get<SagaView>(`/ops/sagas/${id}`);
    const deeds = await deedsOn(api, id);
    const steps = view.steps.map(({ name, status, attempts, startedAt, endedAt, error }) => [
      time(startedAt),
      endedAt === undefined ? "" : time(endedAt),
      name,
      status,
      attempts,
      reasonText(error),
    ]);
    const lines = [
      `${view.type} ${view.sagaId}: ${view.state}${view.currentStep === null ? "" : ` at ${view.currentStep}`}`,
      `order ${view.orderId}, begun ${time(view.createdAt)}, last moved ${time(view.updatedAt)}`,
      ...(view.error ? [`undone because of ${reasonText(view.error)}`] : []),
      "",
      ...table(["STARTED", "ENDED", "STEP", "STATUS", "TRIES", "ERROR"], steps),
      ...deeds.toReversed().map(deedLine),
    ];
    return { data: { ...view, deeds }, lines };
  },
};

const transaction: Verb = {
  name: "transaction",
  summary: "Show a transaction: its participants, and what operators did to it",
  ids: ONE,
  async run(api, words) {
    const id = firstOf(words);
    const view = await api.get<OperatedTransaction>(`/ops/transactions/${id}`);
    const deeds = await deedsOn(api, id);
    const lines = [
      `${view.type} ${view.transactionId}: ${view.state}${view.stuck ? ", stuck" : ""}`,
      `order ${view.orderId}, begun ${time(view.createdAt)}, last moved ${time(view.updatedAt)}`,
      ...(view.error ? [`because of ${reasonText(view.error)}`] : []),
      "",
      ...table(
        ["PARTICIPANT", "STATE", "ERROR"],
        view.participants.map(({ name, state, error }) => [name, state, reasonText(error)]),
      ),
      ...deeds.toReversed().map(deedLine),
    ];
    return { data: { ...view, deeds }, lines };
  },
};

type Kind = "sagas" | "transactions";

/** What an operator does to one of them, whichever of the kinds has the id. */
function deed(name: string, kinds: readonly Kind[], summary: string, more: string): Verb {
  return {
    name,
    summary,
    more,
    ids: ONE,
    options: { reason: REASON },
    async run(api, words): Promise<Outcome> {
      const body = { reason: textOf(words, "reason") };
      const done = await onFirst(kinds, (kind) =>
        api.post<OperationDone>(`/ops/${kind}/${firstOf(words)}/${name}`, body),
      );
      return { data: done, lines: [`${done.action}: done, ${done.id}`] };
    },
  };
}

/** Of the first kind that knows the id. @throws RefusedError what the last one says */
async function onFirst<Result>(
  kinds: readonly Kind[],
  act: (kind: Kind) => Promise<Result>,
): Promise<Result> {
  const [kind, ...others] = kinds;
  if (kind === undefined) throw new RangeError("there is no kind to ask");
  try {
    return await act(kind);
  } catch (error) {
    const isElsewhere = error instanceof RefusedError && error.code === "SAGA_NOT_FOUND";
    if (isElsewhere && others.length > 0) return onFirst(others, act);
    throw error;
  }
}

export const INSTANCE_VERBS: readonly Verb[] = [
  sagas,
  saga,
  stuck,
  deed(
    "retry",
    ["sagas", "transactions"],
    "Try the step in hand of a saga or a transaction again, now",
    "Harmless: every step does its work once, however often it is tried.",
  ),
  deed(
    "skip",
    ["sagas"],
    "Take the step in hand of a saga for done",
    "What it should have done is yours to see to: it is not done by this. npm run audit tells what is amiss.",
  ),
  deed(
    "compensate",
    ["sagas"],
    "Undo a saga that has not reached its pivot",
    "A CREATE_ORDER before its confirmation: stock is released and the order cancelled, with the reason OPERATOR.",
  ),
  transactions,
  transaction,
  deed(
    "force-cancel",
    ["transactions"],
    "Cancel a transaction that is not decided, or end a cancellation that cannot end by itself",
    "One that is decided to be confirmed is refused: a decision is never reversed.",
  ),
];
