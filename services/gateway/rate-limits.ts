/** So much on average, and a part of it ahead of its time. */
export interface Policy {
  /** As it stands in the store and in the RateLimit headers. */
  readonly name: string;
  /** 0: no limit. */
  readonly perSecond: number;
  /** Who was quiet may send this many seconds' worth at once. */
  readonly burstSeconds: number;
}

/** What a key has used of its allowance, in seconds of it, and has not told the other gateways yet. */
export interface Spending {
  readonly key: string;
  readonly seconds: number;
}

/** Adds what was spent to the accounts that all gateways share; answers, in the same order, what each one owes now. */
export type Settle = (spending: Spending) => Promise<number>;

export interface Verdict {
  readonly allowed: boolean;
  /** Requests that may follow at once. */
  readonly remaining: number;
  /** Until the account is as good as new. */
  readonly resetSeconds: number;
  /** Until a refused request would be let through; 0 for one that is. */
  readonly waitSeconds: number;
}

export interface RateLimiter {
  /** Lets one request through, or not. Undefined where there is no limit. */
  take(id: string): Verdict | undefined;
  /** Puts requests on the account whatever stands on it: for what turned out to cost more than it seemed to. */
  charge(id: string, requests: number): void;
  readonly policy: Policy;
}

export interface LimiterOptions {
  readonly policy: Policy;
  readonly settle: Settle;
  readonly onError: (error: unknown) => void;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
  readonly accountsMax?: number;
}

/** What one key owes: seconds of its allowance, worked off as time passes. */
interface Account {
  owed: number;
  at: number;
  /** Part of `owed` that the store has not heard of. */
  untold: number;
  telling: boolean;
}

/** A gateway tells the others when it has this share of a burst to tell. */
const TOLD_SHARE = 10;

/**
 * A token bucket per key that gateways share without asking for leave. Each decides by what it knows, at once and
 * without waiting, and tells the store whenever a tenth of a burst has come together; the answer says what the key
 * owes with all gateways together. So a request costs no round trip, a store that is away loosens the limit to one
 * per gateway, and what R gateways let through in T seconds is at most
 * `perSecond * (T + burstSeconds * (1 + R / 10))`, plus what arrives while a settlement is on its way.
 */
export function createRateLimiter(options: LimiterOptions): RateLimiter {
  const { policy, settle, onError, now = () => performance.now(), accountsMax = 50_000 } = options;
  const { name, perSecond, burstSeconds } = policy;
  const accounts = new Map<string, Account>();
  const price = 1 / perSecond;
  const toldFrom = burstSeconds / TOLD_SHARE;

  const accountOf = (id: string): Account => {
    const known = accounts.get(id);
    if (known) {
      workOff(known, now());
      return known;
    }
    // The one that came first goes: the store knows what it owes, but for what is untold.
    const oldest = accounts.keys().next().value;
    if (accounts.size >= accountsMax && oldest !== undefined) accounts.delete(oldest);
    const account = { owed: 0, at: now(), untold: 0, telling: false };
    accounts.set(id, account);
    return account;
  };
  const book = (id: string, account: Account, seconds: number) => {
    account.owed += seconds;
    account.untold += seconds;
    if (account.untold >= toldFrom && !account.telling) void tell(id, account);
  };
  const tell = async (id: string, account: Account) => {
    const seconds = account.untold;
    account.telling = true;
    account.untold = 0;
    let told = false;
    try {
      const owed = await settle({ key: `${name}:${id}`, seconds });
      workOff(account, now());
      // A store that has lost its rows knows less than we do.
      account.owed = Math.max(account.owed, owed + account.untold);
      told = true;
    } catch (error) {
      workOff(account, now());
      // What has been worked off since need not be told any more.
      account.untold = Math.min(account.untold + seconds, account.owed);
      onError(error);
    }
    account.telling = false;
    // Whoever is refused from here on books nothing, and the others would never hear of the rest.
    if (told && account.untold >= toldFrom) void tell(id, account);
  };
  return {
    policy,
    take(id) {
      if (perSecond === 0) return undefined;
      const account = accountOf(id);
      const waitSeconds = Math.max(0, account.owed + price - burstSeconds);
      // A billionth of a second is what the sums of many prices are off by.
      const allowed = waitSeconds < 1e-9;
      if (allowed) book(id, account, price);
      const remaining = Math.max(0, Math.floor((burstSeconds - account.owed) * perSecond + 1e-6));
      return { allowed, remaining, resetSeconds: account.owed, waitSeconds: allowed ? 0 : waitSeconds };
    },
    charge(id, requests) {
      if (perSecond > 0) book(id, accountOf(id), requests * price);
    },
  };
}

function workOff(account: Account, now: number): void {
  account.owed = Math.max(0, account.owed - (now - account.at) / 1_000);
  account.at = now;
}
