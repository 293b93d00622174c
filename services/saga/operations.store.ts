import { v7 as uuidv7 } from "uuid";
import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

export interface OperatorDeed {
  readonly actor: string;
  readonly action: string;
  readonly targetType: "saga" | "transaction";
  readonly targetId: string;
  readonly reason: string;
}

const RECORD = statement(
  "operator_record",
  `insert into operator_actions (id, actor, action, target_type, target_id, reason, result)
   values ($1, $2, $3, $4, $5, $6, 'done')`,
);

/** Writes the audit trail, in the transaction of the deed. */
export function recordDeed(tx: Tx, { actor, action, targetType, targetId, reason }: OperatorDeed): void {
  tx.send(RECORD, [uuidv7(), actor, action, targetType, targetId, reason]);
}
