import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DASHBOARDS } from "./dashboards/all.ts";
import { toGrafana } from "./dashboards/panel.ts";

/** npm run dashboards: scripts/dashboards/ as the JSON that Grafana reads. */
for (const [name, dashboard] of Object.entries(DASHBOARDS)) {
  const file = fileURLToPath(new URL(`../monitoring/grafana/dashboards/${name}.json`, import.meta.url));
  writeFileSync(file, `${JSON.stringify(toGrafana(dashboard), null, 2)}\n`);
  console.log(`dashboards: ${file}`);
}
