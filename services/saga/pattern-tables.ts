import type { Exchange, SagaDefinition, StepDefinition } from "../../engine/define.ts";
import { SETTINGS } from "../../lib/settings.ts";
import { table } from "../gateway/contract/tables.ts";
import { cancelOrderSaga } from "./cancel-order.saga.ts";
import { createOrderSaga } from "./create-order.saga.ts";
import { payOrderTcc } from "./pay-order.tcc.ts";

/** The tables of docs/saga-patterns.md and docs/tcc-patterns.md, made of the definitions that run. */

const SAGAS: readonly SagaDefinition[] = [
  createOrderSaga(SETTINGS.STOCK_REPLY_TIMEOUT_MS.fallback),
  cancelOrderSaga,
];

/** The steps of a saga, and what becomes of each when it fails or has to be undone. */
export function stepTable(type: string): string {
  const steps = SAGAS.find((saga) => saga.type === type)?.steps ?? [];
  return table(
    ["step", "kind", "what it does", "waits", "attempts", "then", "undone by"],
    steps.map((step) => [
      step.when ? `${step.name} (only if)` : step.name,
      step.mode,
      exchangeText(step.exchange),
      seconds(step.exchange),
      // A command whose event does not come in time is given up before the pivot, and sent again after it.
      step.exchange.kind === "request" && step.mode === "compensatable" ? "1" : String(step.attemptsMax),
      step.mode === "compensatable" ? "compensate" : "stuck",
      undoText(step),
    ]),
  );
}

function undoText({ mode, compensation, noCompensation }: StepDefinition): string {
  if (compensation) return `${exchangeText(compensation)}, ${seconds(compensation)}`;
  return mode === "compensatable" ? `nothing: ${noCompensation}` : "never";
}

function exchangeText(exchange: Exchange): string {
  if (exchange.kind === "call") return `calls \`${exchange.action}\``;
  const { publish, success, failure } = exchange;
  const refusal = failure ? ` or \`${failure.event}\`` : "";
  return `\`${publish}\` until \`${success}\`${refusal}`;
}

const seconds = ({ timeoutMs }: Exchange) => `${timeoutMs / 1_000} s`;

/** Who takes part in a payment, and with which actions. */
export function participantTable(): string {
  return table(
    ["participant", "try", "confirm", "cancel"],
    payOrderTcc.participants.map(({ name, pivot, operations }) => [
      pivot ? `${name} (pivot)` : name,
      ...([operations.try, operations.confirm, operations.cancel] as const).map(
        ({ action }) => `\`${action}\``,
      ),
    ]),
  );
}
