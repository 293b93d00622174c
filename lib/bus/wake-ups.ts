type Listener = () => void;

const listeners = new Map<string, Set<Listener>>();

/** A topic and the header `event-type`; of a message without one the topic alone. */
interface News {
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Tells the consumers of this process at once that there is news for them, so that they need not poll for what was
 * published next to them. `place` keeps apart the buses of one process (its database's URL).
 */
export function wake(place: string, news: Iterable<News>): void {
  const names = new Set<string>();
  for (const { topic, headers } of news) {
    const type = headers["event-type"];
    // Whoever reads all types listens to the second one.
    names.add(type === undefined ? nameOf(place, topic) : nameOf(place, topic, type));
    names.add(nameOf(place, topic, "*"));
  }
  for (const name of names) for (const listener of listeners.get(name) ?? []) listener();
}

const nameOf = (place: string, topic: string, type = "") => `${place} ${topic} ${type}`;

/** Calls `listener` at each wake-up of these topics and types until the returned function is called. */
export function onWake(
  place: string,
  { topics, types = ["*"] }: { readonly topics: readonly string[]; readonly types?: readonly string[] },
  listener: Listener,
): () => void {
  const names = topics.flatMap((topic) => ["", ...types].map((type) => nameOf(place, topic, type)));
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
