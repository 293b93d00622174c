import { writeFileSync } from "node:fs";
import { reportFailure } from "./exit.ts";
import { digestOf, OVERLAYS, render, renderedFile } from "./manifests.ts";
import { UsageError } from "./usage-error.ts";

/**
 * npm run k8s:render: what kustomize makes of each overlay, into k8s/rendered/: to read, to apply, and for the tests.
 * Its first line has the digest of the files it was made from.
 */
try {
  for (const overlay of OVERLAYS) {
    const rendered = render(overlay);
    if (rendered === undefined) throw new UsageError("kubectl is not on the PATH");
    const file = renderedFile(overlay);
    writeFileSync(file, `# npm run k8s:render made this from ${digestOf(overlay)}\n${rendered}`);
    console.log(`render-manifests: ${file}`);
  }
} catch (error) {
  process.exitCode = reportFailure("render-manifests", error);
}
