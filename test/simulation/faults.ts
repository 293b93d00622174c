import { Random } from "../support/random.ts";

/** A fault that struck: where, at its how-manieth opportunity there, and when. */
export interface Struck {
  /** `site#passage`: names it in a replay. */
  readonly id: string;
  readonly atMs: number;
}

export interface FaultOptions {
  readonly seed: number;
  /** Of a replay: only these strike. */
  readonly only?: ReadonlySet<string>;
}

/** How often each kind of fault strikes; the kind is the first word of a site. */
export type Rates = Readonly<Record<string, number>>;

/**
 * Every choice of a schedule, by its seed. Each site (a kind of message, a node, …) draws from a stream of its own, so
 * that leaving a fault out changes nothing before it, and little besides: that is what makes a schedule shrink.
 */
export class Choices {
  private readonly seed: number;
  private readonly only: ReadonlySet<string> | undefined;
  private readonly streams = new Map<string, { readonly random: Random; passages: number }>();
  private readonly now: () => number;
  private rates: Rates = {};
  private untilMs = 0;
  readonly struck: Struck[] = [];

  constructor(options: FaultOptions, now: () => number) {
    this.seed = options.seed;
    this.only = options.only;
    this.now = now;
  }

  /** From when on which faults strike how often, and until when. */
  arm(rates: Rates, untilMs: number): void {
    this.rates = rates;
    this.untilMs = untilMs;
  }

  at(site: string): Random {
    return this.stream(site).random;
  }

  /** Does a fault strike at this site now? Nothing strikes once the faults have healed. */
  strike(kind: string, where: string): boolean {
    const rate = this.rates[kind];
    if (rate === undefined || this.now() > this.untilMs) return false;
    const site = `${kind} ${where}`;
    const stream = this.stream(site);
    stream.passages += 1;
    if (!stream.random.chance(rate)) return false;
    const id = `${site}#${stream.passages}`;
    if (this.only && !this.only.has(id)) return false;
    this.struck.push({ id, atMs: this.now() });
    return true;
  }

  private stream(site: string) {
    const known = this.streams.get(site);
    if (known) return known;
    const stream = { random: new Random(hash(this.seed, site)), passages: 0 };
    this.streams.set(site, stream);
    return stream;
  }
}

/** FNV-1a over the site, from the seed. */
function hash(seed: number, site: string): number {
  let value = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) | 0;
  for (let index = 0; index < site.length; index += 1) {
    value = Math.imul(value ^ site.charCodeAt(index), 0x01000193);
  }
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
}
