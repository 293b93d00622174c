/** What we ask Prometheus. */

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ActiveAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

const TIMEOUT_MS = 10_000;

interface Answer<Data> {
  readonly status: "success" | "error";
  readonly data: Data;
  readonly error?: string;
}

async function get<Data>(url: string): Promise<Data> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const { status, data, error } = (await answer.json()) as Answer<Data>;
  if (status !== "success") throw new Error(`Prometheus refuses: ${error}`);
  return data;
}

/** What an expression is now. @throws Error where Prometheus does not understand it */
export async function query(prometheus: string, expression: string): Promise<Series[]> {
  const url = `${prometheus}/api/v1/query?query=${encodeURIComponent(expression)}`;
  const { result } = await get<{
    result: readonly { metric: Record<string, string>; value: readonly [number, string] }[];
  }>(url);
  return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

/** Alerts that fire, and those that wait for the end of their `for`. */
export async function activeAlerts(prometheus: string): Promise<readonly ActiveAlert[]> {
  const { alerts } = await get<{ alerts: readonly ActiveAlert[] }>(`${prometheus}/api/v1/alerts`);
  return alerts;
}
