/**
 * Everything that can become of an order's money, seen from outside: paid, declined, cancelled, refunded, asked for
 * twice, asked for wrongly, and a provider that is slow or silent. The same on both ways to run it.
 */
import { readDemoFile } from "../../scripts/demo/demo-file.ts";
import { auditSystem } from "../support/audit.ts";
import { runScript } from "../support/demo-process.ts";
import type { Mode } from "../support/system.ts";
import { useSystem } from "../support/use-system.ts";
import { access } from "./access.suite.ts";
import { fuzzing } from "./fuzz.suite.ts";
import { manifestProcesses } from "./manifest-processes.suite.ts";
import { cancellations } from "./money-cancellations.suite.ts";
import { coordinators } from "./money-coordinators.suite.ts";
import { wrongRequests } from "./money-input.suite.ts";
import { keys } from "./money-keys.suite.ts";
import { payments } from "./money-payments.suite.ts";
import { provider } from "./money-provider.suite.ts";
import { refunds } from "./money-refunds.suite.ts";
import { waiting } from "./money-waiting.suite.ts";
import { revocation } from "./revocation.suite.ts";
import { strangers } from "./strangers.suite.ts";

export function money(mode: Mode): void {
  // The provider's silence, and the search for holds that are over, take a sixth of their time and say the same.
  const shared = useSystem(mode, { PSP_TIMEOUT_MS: "500", EXPIRY_POLL_MS: "200" });
  describe("an order", () => payments(shared));
  describe("a client that prefers to wait", () => waiting(shared));
  describe("the provider", () => provider(shared));
  describe("a cancellation", () => cancellations(shared));
  describe("a refund", () => refunds(shared));
  describe("bad input", () => wrongRequests(shared));
  describe("a coordinator of one's own", () => coordinators(shared));
  describe("an Idempotency-Key", () => keys(shared));

  // Where each service has a port of its own, it takes a Prometheus to look at all of them.
  if (mode === "embedded")
    test("what payments took and how they ended is on /metrics", async () => {
      const { internal = "" } = readDemoFile(shared().system.dataDir) ?? {};
      const page = await (await fetch(`${internal}/metrics`)).text();
      const latest = (series: string) =>
        Number(
          page
            .split("\n")
            .find((line) => line.startsWith(`${series} `))
            ?.split(" ")
            .at(-1),
        );
      for (const phase of ["try", "confirm", "cancel"])
        expect(latest(`oms_tcc_phase_duration_seconds_count{phase="${phase}"}`)).toBeGreaterThan(0);
      for (const service of ["order", "product", "payment"])
        expect(latest(`oms_tcc_active_reservations{service="${service}"}`)).toBeGreaterThanOrEqual(0);
      expect(latest("payment_attempt_latency_seconds_count")).toBeGreaterThan(0);
      expect(latest("payment_failure_rate")).toBeGreaterThan(0);
      expect(latest("payment_failure_rate")).toBeLessThan(1);
    });
  // The gateway is one and the same process on both.
  if (mode === "embedded") {
    describe("access", () => access(shared));
    describe("revocation", () => revocation(shared));
    describe("fuzzed requests", () => fuzzing(shared));
  }
  if (mode === "stack") describe("on NATS", () => strangers(shared));
  if (mode === "stack") describe("a Deployment of k8s/overlays/dev", () => manifestProcesses(shared));

  test("after all of that the audit finds nothing wrong", async () => {
    const { system } = shared();
    await expect(auditSystem(system.sql)).resolves.toEqual([]);
    const { code, output } = await runScript(["audit.ts"], { DATA_DIR: system.dataDir });
    expect(code === 0 ? "" : output).toBe("");
  }, 120_000);
}
