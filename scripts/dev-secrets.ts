import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DATABASE_NAMES } from "../lib/settings.ts";
import { prepareKeyRing } from "./demo/key-ring.ts";
import { prepareClusterSecret, prepareKeys } from "./demo/tokens.ts";
import { configOrExit, reportFailure } from "./exit.ts";

/**
 * npm run -s k8s:dev-secrets | kubectl apply -f -: the secrets that k8s/overlays/dev refers to, made at the first run
 * and kept in DATA_DIR. The tokens that fit are made by `node scripts/demo-data.ts keys` with the same DATA_DIR.
 */
try {
  const { DATA_DIR } = configOrExit("dev-secrets");
  const { jwksFile } = await prepareKeys(DATA_DIR);
  const keyRing = await prepareKeyRing(DATA_DIR);
  const password = kept(join(DATA_DIR, "demo-keys", "postgres-password"));
  const urls = DATABASE_NAMES.map(
    (name) => [name, `postgres://oms:${password}@postgres:5432/oms_${name}`] as const,
  );
  const secrets = {
    "holdfast-cluster": { "cluster-secrets": readFileSync(prepareClusterSecret(DATA_DIR), "utf8") },
    "holdfast-gateway": {
      "jwks.json": readFileSync(jwksFile, "utf8"),
      "personal-data.json": readFileSync(keyRing.file, "utf8"),
    },
    "holdfast-postgres": { password },
    "holdfast-migrate": Object.fromEntries(urls.map(([name, url]) => [`${name}-database-url`, url])),
    ...Object.fromEntries(urls.map(([name, url]) => [`holdfast-${name}`, { "database-url": url }])),
  };
  const items = Object.entries(secrets).map(([name, stringData]) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace: "holdfast" },
    stringData,
  }));
  console.log(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
} catch (error) {
  process.exitCode = reportFailure("dev-secrets", error);
}

/** PostgreSQL takes its password when its data folder is made, and keeps it. */
function kept(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString("base64url"), { mode: 0o600 });
  return readFileSync(file, "utf8");
}
