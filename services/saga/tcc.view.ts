import type { TransactionView } from "../../lib/contracts.ts";
import type { StoredTcc } from "./tcc.store.ts";

export function transactionView(transaction: StoredTcc): TransactionView {
  const { failure } = transaction;
  return {
    transactionId: transaction.id,
    type: transaction.type,
    orderId: transaction.businessKey,
    state: transaction.state,
    stuck: transaction.stuck,
    participants: transaction.participants.map(({ name, state, error }) => ({
      name,
      state,
      ...(error && { error: { code: error.code, message: error.message } }),
    })),
    ...(failure && { error: { code: failure.code, message: failure.message } }),
    createdAt: transaction.createdAt.toISOString(),
    updatedAt: transaction.updatedAt.toISOString(),
  };
}
