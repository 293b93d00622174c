import type { PaymentStatus } from "../../lib/contracts.ts";

/** Payment's part in a global transaction. */

export const BRANCH = "payment";

/** What a finished operation of a global transaction is answered from now on. */
export interface StoredReply {
  readonly paymentId?: string;
  readonly status: PaymentStatus;
  readonly errorCode?: string;
}
