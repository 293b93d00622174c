import type { ServiceBroker } from "moleculer";
import { ORDERS_MOVED, type OrdersMoved } from "../../lib/contracts.ts";

/** So long moves are gathered: telling of them costs the same however many there are. */
const GATHERED_MS = 20;
/** Ids in one message. */
const TOLD_MAX = 1_000;

/** Tells gateways which orders have moved, so that they need not ask. Only ids: who may see more reads it. */
export function createAnnouncer(broker: ServiceBroker): (orderIds: Iterable<string>) => void {
  const moved = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const tell = () => {
    timer = undefined;
    const ids = [...moved];
    moved.clear();
    for (let from = 0; from < ids.length; from += TOLD_MAX) {
      // Resolves when local listeners are through; ours have nothing to wait for.
      const told: OrdersMoved = { orderIds: ids.slice(from, from + TOLD_MAX) };
      void broker.broadcast(ORDERS_MOVED, told);
    }
  };
  return (orderIds) => {
    for (const id of orderIds) moved.add(id);
    if (moved.size === 0 || timer) return;
    timer = setTimeout(tell, GATHERED_MS);
    timer.unref();
  };
}
