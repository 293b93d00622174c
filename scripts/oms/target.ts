import { ConfigError, loadConfig } from "../../lib/config.ts";
import { readDemoFile } from "../demo/demo-file.ts";
import { type Target, UnreachableError } from "./api.ts";

/**
 * Whom operators' tools ask: the gateway that OMS_URL names, else the demo that runs on this data folder.
 * @throws ConfigError a setting is wrong or missing, UnreachableError nothing runs here
 */
export function targetOf(env: NodeJS.ProcessEnv = process.env): Target {
  const { OMS_URL, OMS_TOKEN, DATA_DIR } = loadConfig(env);
  if (OMS_URL !== undefined) {
    if (OMS_TOKEN === undefined) throw new ConfigError("OMS_TOKEN", "OMS_URL needs an operator's token");
    const base = OMS_URL.replace(/\/+$/, "");
    return { url: base.endsWith("/api") ? base : `${base}/api`, token: OMS_TOKEN };
  }
  const demo = readDemoFile(DATA_DIR);
  if (demo === undefined)
    throw new UnreachableError(`nothing runs on the data folder ${DATA_DIR}, and OMS_URL is not set`);
  return { url: demo.api, token: OMS_TOKEN ?? demo.tokens.operator };
}
