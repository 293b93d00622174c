import { v7 as uuidv7 } from "uuid";
import type { Engine } from "../../engine/engine.ts";
import type { Outcome } from "../../engine/protocol.ts";
import type { SagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { CreateOrderAnswer, CreateOrderParams, IdempotentAnswer } from "../../lib/contracts.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import type { OnceRequest } from "../../mixins/idempotency.mixin.ts";
import type { CreateOrderInput } from "./create-order.saga.ts";
import { insertSagas } from "./saga.store.ts";

export interface NewOrder {
  readonly params: CreateOrderParams;
  readonly correlationId: string;
}

export interface Acceptance {
  readonly database: Database;
  readonly protocol: SagaProtocol;
  readonly engine: Engine<SagaInstance, Tx>;
  readonly once: <Work>(
    tx: Tx,
    requests: readonly OnceRequest<Work>[],
    perform: (works: readonly Work[]) => Promise<void>,
  ) => Promise<(IdempotentAnswer<unknown> | Error)[]>;
}

/**
 * Takes orders on: key, answer and saga commit in one transaction, then the engine has them. A process that
 * dies right after the commit leaves rows that any node takes over when their lease ends.
 */
export async function acceptOrders(
  { database, protocol, engine, once }: Acceptance,
  orders: readonly NewOrder[],
): Promise<(IdempotentAnswer<CreateOrderAnswer> | Error)[]> {
  const requests = orders.map((order) => requestOf(protocol, order));
  let started: readonly Outcome<SagaInstance>[] = [];
  const answers = await withTransaction(database, (tx) => {
    started = [];
    return once(tx, requests, async (outcomes) => {
      insertSagas(
        tx,
        outcomes.map(({ instance }) => instance),
      );
      started = outcomes;
    });
  });
  engine.adopt(started);
  // What is stored under the key is what requestOf put there.
  return answers as (IdempotentAnswer<CreateOrderAnswer> | Error)[];
}

function requestOf(
  protocol: SagaProtocol,
  { params, correlationId }: NewOrder,
): OnceRequest<Outcome<SagaInstance>> {
  const { idempotency: claim, ...basket } = params;
  const orderId = uuidv7();
  const sagaId = uuidv7();
  const input: CreateOrderInput = { orderId, ...basket };
  const saga = {
    id: sagaId,
    type: "CREATE_ORDER",
    input,
    businessKey: orderId,
    ownerId: basket.customerId,
    correlationId,
  };
  const body: CreateOrderAnswer = { orderId, sagaId, status: "processing" };
  const answer = { status: 202, headers: { location: `/api/orders/${orderId}` }, body };
  return { claim, answer, work: protocol.start(saga, new Date()) };
}
