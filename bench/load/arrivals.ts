import { setTimeout as sleep } from "node:timers/promises";
import type { Cell } from "./protocol.ts";

export interface Work {
  /** One order. @param dueAt when it was to begin, by performance.now() */
  once(loop: number, dueAt: number): Promise<void>;
  isOver(): boolean;
}

/** Has orders begin as the cell says, until the work is over; ends when the last one has ended. */
export function arrive({ concurrency, inBursts, perSecond }: Cell, work: Work): Promise<unknown> {
  if (perSecond !== undefined) return openLoop(perSecond, concurrency, work);
  return inBursts ? bursts(concurrency, work) : closedLoops(concurrency, work);
}

function closedLoops(count: number, { once, isOver }: Work): Promise<unknown> {
  const loop = async (index: number) => {
    while (!isOver()) await once(index, performance.now());
  };
  return Promise.all(Array.from({ length: count }, (_, index) => loop(index)));
}

async function bursts(size: number, { once, isOver }: Work): Promise<void> {
  while (!isOver()) {
    const now = performance.now();
    await Promise.all(Array.from({ length: size }, (_, index) => once(index, now)));
  }
}

/** Timers fire late and round up: each tick begins all that have become due since the last one. */
async function openLoop(perSecond: number, inFlightMax: number, { once, isOver }: Work): Promise<void> {
  const from = performance.now();
  const free = Array.from({ length: inFlightMax }, (_, index) => index);
  const running = new Set<Promise<void>>();
  let begun = 0;
  const begin = () => {
    for (;;) {
      const dueAt = from + (1_000 * begun) / perSecond;
      const index = free[0];
      if (isOver() || dueAt > performance.now() || index === undefined) return;
      free.shift();
      begun += 1;
      const one = once(index, dueAt).finally(() => {
        free.push(index);
        running.delete(one);
        begin();
      });
      running.add(one);
    }
  };
  while (!isOver()) {
    begin();
    await sleep(1);
  }
  await Promise.all(running);
}
