import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newKeyRing, openKeyRing } from "../../lib/personal-data/key-ring.ts";
import { createPersonalData, type PersonalData } from "../../lib/personal-data/personal-data.ts";
import { keyFolder } from "./tokens.ts";

export const keyRingFile = (dataDir: string) => join(dataDir, "demo-keys", "personal-data.json");

/** The demo's own keys of personal data. Elsewhere they are given: what is beside the data protects nothing. */
export async function prepareKeyRing(
  dataDir: string,
): Promise<{ readonly file: string; readonly personalData: PersonalData }> {
  keyFolder(dataDir);
  const file = keyRingFile(dataDir);
  if (!existsSync(file)) writeFileSync(file, newKeyRing("demo"), { mode: 0o600 });
  return { file, personalData: createPersonalData(await openKeyRing(file)) };
}
