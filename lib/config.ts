import { problemOfAges } from "./retention-settings.ts";
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
  const entries = Object.entries(SETTINGS).map(([name, setting]) => {
    const given = env[name];
    if (given === undefined || given === "") return [name, setting.fallback];
    const value = setting.read(given);
    if (value === undefined) throw new ConfigError(name, `"${given}" is not ${setting.expected}`);
    return [name, value];
  });
  const config = Object.freeze(Object.fromEntries(entries)) as Config;
  const ages = problemOfAges(config);
  if (ages) throw new ConfigError(ages.setting, ages.problem);
  return config;
}

/** The URL of a service's database. @throws ConfigError when neither it nor DATABASE_URL is set */
export function databaseUrl(config: Config, name: DatabaseName | "bus"): string {
  const setting = `${name.toUpperCase()}_DATABASE_URL` as const as keyof Config;
  const own = config[setting];
  if (typeof own === "string") return own;
  if (config.DATABASE_URL === undefined)
    throw new ConfigError(setting, "set it, or DATABASE_URL for all services");
  const parsed = new URL(config.DATABASE_URL);
  const prefix = parsed.pathname.slice(1) || "oms";
  parsed.pathname = `/${prefix}_${name}`;
  return parsed.toString();
}

let current: Config | undefined;

/** The configuration of this process. */
export function config(): Config {
  current ??= loadConfig();
  return current;
}
