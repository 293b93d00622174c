import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { draftBeside } from "./draft.ts";
import { PartUnavailableError, type Progress } from "./part.ts";
import { findOnPath, lastLine, run } from "./process.ts";

const kafkaVersion = "4.1.0";
const javaMajorMin = 17;

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>holdfast</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`;

/** The java to run Kafka, or another part, with: JAVA_HOME's, else the one on PATH. @throws PartUnavailableError when too old or missing */
export async function findJava(part = "kafka"): Promise<string> {
  const home = process.env.JAVA_HOME;
  const java = (home ? findOnPath("java", join(home, "bin")) : undefined) ?? findOnPath("java");
  const needed = `needs Java ${javaMajorMin} or newer`;
  if (java === undefined) throw new PartUnavailableError(part, `${needed} (java not found on PATH)`);
  const { output } = await run(java, ["-version"], { timeoutMs: 30_000 });
  const major = Number(/version "(\d+)/.exec(output)?.[1]);
  if (major >= javaMajorMin) return java;
  const found = Number.isNaN(major) ? lastLine(output) : `Java ${major === 1 ? "8 or older" : major}`;
  throw new PartUnavailableError(part, `${needed} (${java} is: ${found})`);
}

/** Kafka's jars below <stackDir>, fetched by Maven the first time. */
export async function findKafkaLibs(stackDir: string, progress?: Progress): Promise<string> {
  const libs = join(stackDir, "kafka", "libs");
  if (isComplete(libs)) return libs;
  const maven = findOnPath("mvn");
  if (maven === undefined) {
    throw new PartUnavailableError(
      "kafka",
      `needs Maven to download Apache Kafka ${kafkaVersion} (mvn not found on PATH)`,
    );
  }
  const draft = draftBeside(libs);
  mkdirSync(draft, { recursive: true });
  try {
    await download(maven, draft, progress);
    publish(join(draft, "libs"), libs);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return libs;
}

async function download(maven: string, draft: string, progress?: Progress): Promise<void> {
  progress?.(`kafka: downloading Apache Kafka ${kafkaVersion} from Maven (43 MB) …`);
  writeFileSync(join(draft, "pom.xml"), pom);
  const args = [
    "-q",
    "-B",
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    "-DoutputDirectory=libs",
  ];
  const result = await run(maven, args, { cwd: draft, timeoutMs: 600_000 });
  if (result.code === 0 && isComplete(join(draft, "libs"))) return;
  // Maven ends its errors with several lines of advice; the first one has the cause.
  const cause = result.output.split("\n").find((line) => line.includes("ERROR")) ?? lastLine(result.output);
  throw new PartUnavailableError(
    "kafka",
    `Maven could not download Apache Kafka ${kafkaVersion}: ${cause.trim()}`,
  );
}

/** The folder appears in one step, so it is either whole or not there, even when two starts download at once. */
function publish(draft: string, libs: string): void {
  try {
    if (existsSync(libs) && !isComplete(libs)) rmSync(libs, { recursive: true, force: true });
    renameSync(draft, libs);
  } catch (error) {
    if (!isComplete(libs)) throw error;
  }
}

/** Of this version, too: an older one's folder is replaced. */
function isComplete(libs: string): boolean {
  return existsSync(join(libs, `kafka_2.13-${kafkaVersion}.jar`));
}
