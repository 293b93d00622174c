import { databaseUrl } from "../lib/config.ts";
import { openKeyRing } from "../lib/personal-data/key-ring.ts";
import { createPersonalData } from "../lib/personal-data/personal-data.ts";
import { seedDemo } from "../migrations/seeds/demo.ts";
import { prepareKeyRing } from "./demo/key-ring.ts";
import { issueTokens, prepareClusterSecret, prepareKeys, writeHeaderFiles } from "./demo/tokens.ts";
import { configOrExit, reportFailure } from "./exit.ts";
import { UsageError } from "./usage-error.ts";

/**
 * node scripts/demo-data.ts [keys|seed]: what a demo in containers lacks beside its tables. keys: key pair, cluster
 * secret, key ring and a token for each role, in DATA_DIR; what is there is kept, but for the tokens, which are good for a day.
 * seed: the demo's customers and products,
 * with PERSONAL_DATA_KEYS where they are given. Without a word: both.
 */
const steps = ["keys", "seed"] as const;
try {
  const [word, ...rest] = process.argv.slice(2);
  const chosen = word === undefined ? steps : steps.filter((step) => step === word);
  if (chosen.length === 0 || rest.length > 0)
    throw new UsageError("usage: node scripts/demo-data.ts [keys|seed]");
  const config = configOrExit("demo-data");
  if (chosen.includes("keys")) {
    const keys = await prepareKeys(config.DATA_DIR);
    prepareClusterSecret(config.DATA_DIR);
    await prepareKeyRing(config.DATA_DIR);
    writeHeaderFiles(config.DATA_DIR, await issueTokens(keys, config));
    console.log(`demo-data: keys and tokens are in ${config.DATA_DIR}`);
  }
  if (chosen.includes("seed")) {
    const databases = { customer: databaseUrl(config, "customer"), product: databaseUrl(config, "product") };
    const given = config.PERSONAL_DATA_KEYS;
    const personalData =
      given === undefined
        ? (await prepareKeyRing(config.DATA_DIR)).personalData
        : createPersonalData(await openKeyRing(given));
    await seedDemo(databases, personalData);
    console.log("demo-data: customers and products are there");
  }
} catch (error) {
  process.exitCode = reportFailure("demo-data", error);
}
