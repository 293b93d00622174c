/** Those who wait for something to end, by its id. Each waits at most its own time. */
export interface Waiters {
  /** Resolves true when the id is told, false when the time is up. */
  wait(id: string, timeoutMs: number): Promise<boolean>;
  tell(ids: readonly string[]): void;
  /** Ids that someone waits for. */
  awaited(): readonly string[];
}

export function createWaiters(): Waiters {
  const waiting = new Map<string, Set<() => void>>();
  return {
    wait(id, timeoutMs) {
      return new Promise((resolve) => {
        const group = waiting.get(id) ?? new Set();
        waiting.set(id, group);
        const finish = (told: boolean) => {
          clearTimeout(timer);
          group.delete(onTold);
          if (group.size === 0 && waiting.get(id) === group) waiting.delete(id);
          resolve(told);
        };
        const onTold = () => finish(true);
        const timer = setTimeout(() => finish(false), timeoutMs);
        group.add(onTold);
      });
    },
    tell(ids) {
      for (const id of ids) for (const onTold of [...(waiting.get(id) ?? [])]) onTold();
    },
    awaited: () => [...waiting.keys()],
  };
}
