type Listener = () => void;

const listeners = new Map<string, Set<Listener>>();

/**
 * Tells the consumers of this process at once that a topic has news, so that they need not poll for what
 * was published next to them. `place` keeps apart the buses of one process (its database's URL).
 */
export function wake(place: string, topics: Iterable<string>): void {
  for (const topic of topics) {
    for (const listener of listeners.get(`${place} ${topic}`) ?? []) listener();
  }
}

/** Calls `listener` at each wake-up of these topics until the returned function is called. */
export function onWake(place: string, topics: readonly string[], listener: Listener): () => void {
  const names = topics.map((topic) => `${place} ${topic}`);
  for (const name of names) {
    const set = listeners.get(name) ?? new Set();
    listeners.set(name, set.add(listener));
  }
  return () => {
    for (const name of names) {
      const set = listeners.get(name);
      set?.delete(listener);
      if (set?.size === 0) listeners.delete(name);
    }
  };
}
