/** How large a part of what happened lately was of one kind: in slices, so that old ones leave by themselves. */
export interface RecentShare {
  add(counts: boolean): void;
  /** 0 to 1; 0 when nothing happened. */
  value(): number;
}

const SLICES = 30;

export function createRecentShare(
  windowMs: number,
  nowMs: () => number = () => performance.now(),
): RecentShare {
  const sliceMs = windowMs / SLICES;
  const slices = Array.from({ length: SLICES }, () => ({ number: -1, all: 0, counted: 0 }));
  return {
    add(counts) {
      const number = Math.floor(nowMs() / sliceMs);
      const slice = slices[number % SLICES];
      if (slice === undefined) return;
      if (slice.number !== number) Object.assign(slice, { number, all: 0, counted: 0 });
      slice.all += 1;
      if (counts) slice.counted += 1;
    },
    value() {
      const oldest = Math.floor(nowMs() / sliceMs) - SLICES + 1;
      let [all, counted] = [0, 0];
      for (const slice of slices) {
        if (slice.number < oldest) continue;
        all += slice.all;
        counted += slice.counted;
      }
      return all === 0 ? 0 : counted / all;
    },
  };
}
