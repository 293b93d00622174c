/** One kind of order, done over and over by the loops of a load process. */
export interface Flow {
  /** From the first byte to the end of the flow: an order confirmed, paid, cancelled. @throws when it ends in any other way */
  place(basket: Basket): Promise<Placed>;
  /** Makes one of the orders that later calls of `place` use up, and tells how many there are; only where they do. */
  readonly stock?: { make(basket: Basket): Promise<void>; count(): number };
  /** True when an end was noticed by polling at least once. */
  polled(): boolean;
  close(): Promise<void>;
}

export interface Basket {
  /** Of the loop that places it. */
  readonly loop: number;
  /** Bought once. */
  readonly first: string;
  /** Bought twice. */
  readonly second: string;
}

export interface Placed {
  readonly orderId: string;
  /** Until the order was accepted, where that is a moment of its own. */
  readonly acceptMs?: number;
  /** In a flash sale: nothing was left. */
  readonly isRefused?: boolean;
}
