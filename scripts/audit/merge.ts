/** Rows of one source, ascending by key, each handed on as it is taken. */
export interface Feed {
  /** Key of the row in hand; undefined when a refill is due or the source has ended. */
  readonly key: string | undefined;
  readonly isOpen: boolean;
  refill(): Promise<void>;
  take(): void;
}

export function feed<Row extends { readonly key: string }>(
  batches: AsyncGenerator<readonly Row[]>,
  put: (row: Row) => void,
): Feed {
  let batch: readonly Row[] = [];
  let at = 0;
  let open = true;
  return {
    get key() {
      return batch[at]?.key;
    },
    get isOpen() {
      return open;
    },
    async refill() {
      const next = await batches.next();
      open = next.done !== true;
      batch = next.done === true ? [] : next.value;
      at = 0;
    },
    take() {
      const row = batch[at];
      at += 1;
      if (row !== undefined) put(row);
    },
  };
}

/**
 * Walks through feeds that are each sorted by key, one key after the other: a join across databases that keeps one
 * batch of each in memory.
 */
export async function mergeByKey(
  feeds: readonly Feed[],
  begin: (key: string) => void,
  end: () => void,
): Promise<void> {
  let current: string | undefined;
  for (;;) {
    for (const one of feeds) while (one.key === undefined && one.isOpen) await one.refill();
    const next = least(feeds);
    if (next === undefined) break;
    const { key } = next;
    if (key !== current) {
      if (current !== undefined) end();
      current = key;
      if (key !== undefined) begin(key);
    }
    next.take();
  }
  if (current !== undefined) end();
}

function least(feeds: readonly Feed[]): Feed | undefined {
  let found: Feed | undefined;
  for (const one of feeds) {
    if (one.key !== undefined && (found?.key === undefined || one.key < found.key)) found = one;
  }
  return found;
}
