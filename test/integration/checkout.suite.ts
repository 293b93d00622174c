/**
 * What a customer, an operator of the bus and a careless or hostile client can do to the system that placing orders
 * involves, seen from outside: by its API, its bus and its databases. The same on both ways to run it.
 */
import { auditSystem } from "../support/audit.ts";
import { runScript } from "../support/demo-process.ts";
import type { Mode } from "../support/system.ts";
import { useCollector } from "../support/use-collector.ts";
import { useSystem } from "../support/use-system.ts";
import { catalogue } from "./checkout-catalogue.suite.ts";
import { events } from "./checkout-events.suite.ts";
import { idempotency } from "./checkout-idempotency.suite.ts";
import { badInput } from "./checkout-input.suite.ts";
import { messages } from "./checkout-messages.suite.ts";
import { operations } from "./checkout-operations.suite.ts";
import { outcomes } from "./checkout-outcomes.suite.ts";
import { INBOX_ATTEMPTS, poisonMessages } from "./checkout-poison.suite.ts";
import { scarcity } from "./checkout-scarcity.suite.ts";
import { traces } from "./checkout-traces.suite.ts";
import { redaction } from "./redaction.suite.ts";
import { runbook } from "./runbook.suite.ts";

export function checkout(mode: Mode): void {
  const collector = useCollector();
  // Three tries say the same as the usual five, in a fifth of the time.
  const shared = useSystem(mode, async () => ({
    INBOX_ATTEMPTS_MAX: String(INBOX_ATTEMPTS),
    ...collector()?.env,
  }));
  describe("an order", () => outcomes(shared));
  describe("an order's events", () => events(shared));
  describe("scarce stock", () => scarcity(shared));
  describe("an Idempotency-Key", () => idempotency(shared));
  describe("a message on the bus", () => messages(shared));
  describe("a message", () => poisonMessages(shared));
  describe("a product", () => catalogue(shared));
  describe("an operator", () => operations(shared));
  describe("bad input", () => badInput(shared));
  describe("traces", () => traces(mode, shared, collector));
  describe("what is personal", () => redaction(shared));
  describe("an operator with the runbook", () => runbook(shared));

  test("after all of that the audit finds nothing wrong", async () => {
    const { system } = shared();
    await expect(auditSystem(system.sql)).resolves.toEqual([]);
    const { code, output } = await runScript(["audit.ts"], { DATA_DIR: system.dataDir });
    expect({ code, output }).toMatchObject({ code: 0 });
  });
}
