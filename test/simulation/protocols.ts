import type { SagaDefinition } from "../../engine/define.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccDefinition } from "../../engine/tcc-define.ts";
import { cancelOrderSaga } from "../../services/saga/cancel-order.saga.ts";
import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import {
  type Mutation,
  takingAnyReply,
  withoutDeadline,
  withoutPivot,
  withSwappedCompensations,
} from "./mutations.ts";
import { LEASE_MS } from "./node.ts";

const STOCK_REPLY_TIMEOUT_MS = 30_000;

/** The protocols over the definitions of services/saga, as production has them but for what is switched off. */
export function createProtocols(deadlineMs: number, mutation: Mutation | undefined) {
  const create: SagaDefinition = createOrderSaga(STOCK_REPLY_TIMEOUT_MS);
  const pay: TccDefinition = { ...payOrderTcc, deadlineMs };
  const sagas = [
    mutation === "compensations swapped" ? withSwappedCompensations(create) : create,
    cancelOrderSaga,
  ];
  const protocol = createSagaProtocol(sagas, LEASE_MS);
  const tccProtocol = createTccProtocol([mutation === "pivot not first" ? withoutPivot(pay) : pay], {
    leaseMs: LEASE_MS,
    callTimeoutMs: 5_000,
    tryAttemptsMax: 3,
  });
  if (mutation === "late replies taken") {
    return {
      protocol: { ...protocol, advance: takingAnyReply(protocol) },
      tccProtocol: { ...tccProtocol, advance: takingAnyReply(tccProtocol) },
    };
  }
  return {
    protocol,
    tccProtocol: mutation === "deadline ignored" ? withoutDeadline(tccProtocol) : tccProtocol,
  };
}
