import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { asyncApi } from "../services/gateway/contract/asyncapi.ts";
import { openApi } from "../services/gateway/contract/openapi.ts";
import { postmanCollection } from "../services/gateway/contract/postman.ts";
import { envelope, errorTable, eventSchemas, eventTable } from "../services/gateway/contract/tables.ts";
import { participantTable, stepTable } from "../services/saga/pattern-tables.ts";
import { SETTING_KINDS, settingsTable } from "./settings-table.ts";

/**
 * npm run contract: writes what is made of the table of routes and kept in the repository (the Postman collection, the
 * codes in docs/api.md), of the events (docs/events.md), of the definitions of sagas and payments, and of the settings
 * (docs/settings.md). With `check` it only says whether that is up to date, with `lint` it lints the OpenAPI
 * document, with `openapi` or `asyncapi` it prints that document.
 */

const root = new URL("../", import.meta.url);
const pathOf = (name: string) => fileURLToPath(new URL(name, root));
/** Puts a table between its two comments. */
const withTable = (text: string, name: string, table: string) =>
  text.replace(
    new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(\n<!-- end of ${name} -->)`),
    (_, begin: string, end: string) => `${begin}\n${table}\n${end}`,
  );

interface Generated {
  readonly file: string;
  readonly make: (before: string) => string;
}

const GENERATED: readonly Generated[] = [
  {
    file: "docs/holdfast.postman_collection.json",
    make: () => `${JSON.stringify(postmanCollection(), null, 2)}\n`,
  },
  {
    file: "docs/api.md",
    make: (before) => withTable(withTable(before, "codes", errorTable()), "events", eventTable()),
  },
  {
    file: "docs/events.md",
    make: (before) => withTable(withTable(before, "schemas", eventSchemas()), "envelope", envelope()),
  },
  {
    file: "docs/saga-patterns.md",
    make: (before) =>
      withTable(
        withTable(before, "CREATE_ORDER", stepTable("CREATE_ORDER")),
        "CANCEL_ORDER",
        stepTable("CANCEL_ORDER"),
      ),
  },
  { file: "docs/tcc-patterns.md", make: (before) => withTable(before, "PAY_ORDER", participantTable()) },
  {
    file: "docs/settings.md",
    make: (before) =>
      SETTING_KINDS.reduce((text, kind) => withTable(text, kind, settingsTable(kind)), before),
  },
];

async function generate(write: boolean): Promise<void> {
  for (const { file, make } of GENERATED) {
    const before = await readFile(pathOf(file), "utf8").catch(() => "");
    const after = make(before);
    if (before === after) continue;
    if (write) await writeFile(pathOf(file), after);
    else process.exitCode = 1;
    console.log(write ? `${file} written` : `${file} is out of date: npm run contract`);
  }
}

async function lint(): Promise<void> {
  // For development only: it is not there in an installation without the development dependencies.
  const { createConfig, lintFromString } = await import("@redocly/openapi-core");
  const config = await createConfig({
    extends: ["recommended-strict"],
    // The published names have /orders/saga/{id} beside /orders/{id}/status: the fixed word goes first.
    rules: { "no-ambiguous-paths": "off" },
  });
  const source = JSON.stringify(openApi());
  const problems = await lintFromString({ source, absoluteRef: "/openapi.json", config });
  for (const { ruleId, message, location } of problems)
    console.log(`${location[0]?.pointer}: ${message} (${ruleId})`);
  if (problems.length > 0) process.exitCode = 1;
  else console.log("the OpenAPI document is clean");
}

const print = async (document: object) => console.log(JSON.stringify(document, null, 2));
const COMMANDS: Readonly<Record<string, () => Promise<void>>> = {
  write: () => generate(true),
  check: () => generate(false),
  lint,
  openapi: () => print(openApi()),
  asyncapi: () => print(asyncApi()),
};

const [name = "write"] = process.argv.slice(2);
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
if (command === undefined) {
  console.error(`npm run contract -- [${Object.keys(COMMANDS).join("|")}]`);
  process.exitCode = 2;
} else await command();
