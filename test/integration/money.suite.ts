/**
 * Everything that can become of an order's money, seen from outside: paid, declined, cancelled, refunded, asked for
 * twice, asked for wrongly, and a provider that is slow or silent. The same on both ways to run it.
 */
import { auditSystem } from "../support/audit.ts";
import { runScript } from "../support/demo-process.ts";
import type { Mode } from "../support/system.ts";
import { useSystem } from "../support/use-system.ts";
import { access } from "./access.suite.ts";
import { cancellations } from "./money-cancellations.suite.ts";
import { coordinators } from "./money-coordinators.suite.ts";
import { wrongRequests } from "./money-input.suite.ts";
import { payments } from "./money-payments.suite.ts";
import { provider } from "./money-provider.suite.ts";
import { refunds } from "./money-refunds.suite.ts";
import { revocation } from "./revocation.suite.ts";
import { strangers } from "./strangers.suite.ts";

export function money(mode: Mode): void {
  // The provider's silence, and the search for holds that are over, take a sixth of their time and say the same.
  const shared = useSystem(mode, { PSP_TIMEOUT_MS: "500", EXPIRY_POLL_MS: "200" });
  describe("an order", () => payments(shared));
  describe("the provider", () => provider(shared));
  describe("a cancellation", () => cancellations(shared));
  describe("a refund", () => refunds(shared));
  describe("bad input", () => wrongRequests(shared));
  describe("a coordinator of one's own", () => coordinators(shared));

  // The gateway is one and the same process on both.
  if (mode === "embedded") {
    describe("access", () => access(shared));
    describe("revocation", () => revocation(shared));
  }
  if (mode === "stack") describe("on NATS", () => strangers(shared));

  test("after all of that the audit finds nothing wrong", async () => {
    const { system } = shared();
    await expect(auditSystem(system.sql)).resolves.toEqual([]);
    const { code, output } = await runScript(["audit.ts"], { DATA_DIR: system.dataDir });
    expect(code === 0 ? "" : output).toBe("");
  }, 120_000);
}
