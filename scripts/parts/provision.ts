import { join } from "node:path";
import { startKafka } from "./kafka.ts";
import { startNats } from "./nats.ts";
import type { OwnedBy, Part, Progress } from "./part.ts";
import { startPostgres } from "./postgres.ts";

export type PartName = "postgres" | "nats" | "kafka";

/** A part that is used, whether we run it or it was given. */
export interface ProvisionedPostgres extends Part {
  readonly adminUrl: string;
  urlOf(database: string): string;
}

export interface ProvisionOptions {
  readonly need: readonly PartName[];
  /** Each part keeps its data in a folder of its own below. */
  readonly dataDir: string;
  /** Where downloaded programs are kept. */
  readonly stackDir: string;
  /** Default "auto": any free port. */
  readonly ports?: Partial<Record<PartName, number | "auto">>;
  readonly env?: NodeJS.ProcessEnv;
  readonly ownedBy?: OwnedBy;
  readonly progress?: Progress;
}

export interface Provisioned {
  readonly postgres?: ProvisionedPostgres;
  readonly nats?: Part;
  readonly kafka?: Part;
  stop(): Promise<void>;
}

/**
 * The parts that are needed, all at once: those that the environment names as they are, the others started here.
 * A Docker engine is not looked for: started here they are up within seconds, the same on every machine.
 */
export async function provision(options: ProvisionOptions): Promise<Provisioned> {
  const [postgres, nats, kafka] = await Promise.allSettled([
    options.need.includes("postgres") ? providePostgres(options) : undefined,
    options.need.includes("nats") ? provideNats(options) : undefined,
    options.need.includes("kafka") ? provideKafka(options) : undefined,
  ]);
  const results = [postgres, nats, kafka];
  const stop = () =>
    stopAll(results.flatMap((result) => (result.status === "fulfilled" ? (result.value ?? []) : [])));
  if (postgres.status === "fulfilled" && nats.status === "fulfilled" && kafka.status === "fulfilled") {
    return { postgres: postgres.value, nats: nats.value, kafka: kafka.value, stop };
  }
  await stop();
  const [first, ...others] = results.flatMap((result) =>
    result.status === "rejected" ? [result.reason] : [],
  );
  for (const other of others) options.progress?.(other instanceof Error ? other.message : String(other));
  throw first;
}

function providePostgres(options: ProvisionOptions): Promise<ProvisionedPostgres> | ProvisionedPostgres {
  const env = options.env ?? process.env;
  if (env.DATABASE_URL) return givenPostgres(env.DATABASE_URL);
  const dataDir = join(options.dataDir, "postgres");
  return startPostgres({ ...common(options), dataDir, port: options.ports?.postgres ?? "auto" });
}

function provideNats(options: ProvisionOptions): Promise<Part> | Part {
  const env = options.env ?? process.env;
  const url = env.TRANSPORTER || env.NATS_URL;
  if (url) return given("nats", url);
  const dataDir = join(options.dataDir, "nats");
  return startNats({
    ...common(options),
    stackDir: options.stackDir,
    dataDir,
    port: options.ports?.nats ?? "auto",
  });
}

function provideKafka(options: ProvisionOptions): Promise<Part> | Part {
  const env = options.env ?? process.env;
  if (env.KAFKA_BROKERS) return given("kafka", env.KAFKA_BROKERS);
  const dataDir = join(options.dataDir, "kafka");
  return startKafka({
    ...common(options),
    stackDir: options.stackDir,
    dataDir,
    port: options.ports?.kafka ?? "auto",
  });
}

function common({ ownedBy, progress }: ProvisionOptions): Pick<ProvisionOptions, "ownedBy" | "progress"> {
  return { ownedBy, progress };
}

function given(name: PartName, url: string): Part {
  return { name, pid: 0, url, stop: async () => undefined };
}

/** The path of DATABASE_URL only names our databases; to create them one connects to the one every server has. */
function givenPostgres(url: string): ProvisionedPostgres {
  const urlOf = (database: string): string => {
    const parsed = new URL(url);
    parsed.pathname = `/${encodeURIComponent(database)}`;
    return parsed.toString();
  };
  return { ...given("postgres", url), adminUrl: urlOf("postgres"), urlOf };
}

/** All of them, whatever one of them says; then the first complaint. */
async function stopAll(parts: readonly Part[]): Promise<void> {
  const results = await Promise.allSettled(parts.map((part) => part.stop()));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
