import { readFileSync } from "node:fs";
import { problemOfAges } from "./retention-settings.ts";
import type { Setting } from "./setting-kinds.ts";
import { type DatabaseName, SETTINGS } from "./settings.ts";

/**
 * The settings as this process was given them (lib/settings.ts has their names and meanings). Read once; a wrong
 * value stops the start with one line that names the setting.
 */
export class ConfigError extends Error {
  readonly type = "CONFIG_INVALID";
  readonly setting: string;
  constructor(setting: string, problem: string) {
    super(`${setting}: ${problem}`);
    this.name = "ConfigError";
    this.setting = setting;
  }
}

export type Config = { readonly [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name]["fallback"] };

/** Reads all settings. An empty variable counts as not given. @throws ConfigError names the setting */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const entries = Object.entries<Setting<unknown>>(SETTINGS).map(([name, setting]) => {
    const given = setting.secret ? secretOf(name, env) : env[name] || undefined;
    if (given === undefined) return [name, setting.fallback];
    const value = setting.read(given);
    if (value !== undefined) return [name, value];
    throw new ConfigError(name, `${setting.secret ? shown(given) : `"${given}"`} is not ${setting.expected}`);
  });
  const config = Object.freeze(Object.fromEntries(entries)) as Config;
  const ages = problemOfAges(config);
  if (ages) throw new ConfigError(ages.setting, ages.problem);
  return config;
}

/** From the variable itself, or from the file that <name>_FILE names: files do not show in a list of processes. */
function secretOf(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const given = env[name] || undefined;
  const file = env[`${name}_FILE`] || undefined;
  if (file === undefined) return given;
  if (given !== undefined) throw new ConfigError(name, `${name}_FILE is set too; only one of them can hold`);
  try {
    return readFileSync(file, "utf8").trim() || undefined;
  } catch (cause) {
    throw new ConfigError(`${name}_FILE`, cause instanceof Error ? cause.message : String(cause));
  }
}

/** Of what should have been a URL, all but its user and password; else nothing. */
function shown(given: string): string {
  const url = /^[\w+.-]+:\/\//.test(given);
  return url ? `"${given.replaceAll(/(\/\/)[^@,]*@/g, "$1…@")}"` : "the value";
}

/** The setting of a service's own database. */
export const databaseSetting = (name: DatabaseName | "bus") =>
  `${name.toUpperCase()}_DATABASE_URL` as `${Uppercase<DatabaseName | "bus">}_DATABASE_URL`;

/** The URL of a service's database. @throws ConfigError when neither it nor DATABASE_URL is set */
export function databaseUrl(config: Config, name: DatabaseName | "bus"): string {
  const setting = databaseSetting(name);
  const own = config[setting];
  if (typeof own === "string") return withTls(own, config);
  if (config.DATABASE_URL === undefined)
    throw new ConfigError(setting, "set it, or DATABASE_URL for all services");
  const parsed = new URL(config.DATABASE_URL);
  const prefix = parsed.pathname.slice(1) || "oms";
  parsed.pathname = `/${prefix}_${name}`;
  return withTls(parsed.toString(), config);
}

/** pg and Sequelize both take it from the URL, so that nobody who connects can forget it. @throws ConfigError */
function withTls(url: string, { DATABASE_CA, DATABASE_CERT, DATABASE_KEY }: Config): string {
  const parsed = new URL(url);
  const mode = parsed.searchParams.get("sslmode");
  if (mode === "no-verify" || parsed.searchParams.has("uselibpqcompat"))
    throw new ConfigError("DATABASE_URL", "sslmode=verify-full is the only one that keeps others out");
  if (DATABASE_CA === undefined && mode === null) return url;
  if (mode !== null && mode !== "verify-full")
    throw new ConfigError("DATABASE_URL", `sslmode=${mode} does not go with DATABASE_CA; leave it out`);
  parsed.searchParams.set("sslmode", "verify-full");
  const files = { sslrootcert: DATABASE_CA, sslcert: DATABASE_CERT, sslkey: DATABASE_KEY };
  for (const [name, file] of Object.entries(files))
    if (file !== undefined) parsed.searchParams.set(name, file);
  return parsed.toString();
}

let current: Config | undefined;

/** The configuration of this process. */
export function config(): Config {
  current ??= loadConfig();
  return current;
}
