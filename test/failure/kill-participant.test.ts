/**
 * kill -9 of one participant of a payment, as a process of its own, just before and just after its commit of a try, a
 * confirm or a cancel, while the coordinator and the others live on. The supervisor starts it anew, the coordinator asks
 * it again, and all comes to its one right end. A run takes some places, drawn by seed (TEST_SEED), and the refund;
 * PAY_CRASH=all takes them all.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exists } from "../../scripts/parts/process.ts";
import { FLOWS } from "../support/flows.ts";
import { atRest, killAt, SHORT_LEASES, violationsOf } from "../support/mortal-system.ts";
import { seededRandom } from "../support/random.ts";
import { describeOnStack, type System, startSystem } from "../support/system.ts";
import { until } from "../support/until.ts";

/** Of what a dead process had in hand, with the usual settings. */

type FlowName = keyof typeof FLOWS;

/** By participant and operation: the flow that leads there, and the transactions that the operation commits. */
const COMMITS: readonly (readonly [who: string, flow: FlowName, ...commits: string[]])[] = [
  ["payment", "pay", "payment.try.payment_insert_attempts", "payment.settle.outbox_append"],
  ["payment", "pay", "payment.confirm.payment_insert_attempts", "payment.settle.outbox_append@2"],
  ["payment", "pay, capture declined", "payment.cancel.payment_insert_attempts"],
  ["order", "pay", "order.tryPay.order_insert_history"],
  ["order", "pay", "order.confirmPay.outbox_append"],
  ["order", "pay, capture declined", "order.cancelPay.order_without_stock"],
  ["product", "pay", "product.stock.try.hold_take"],
  ["product", "pay", "product.stock.confirm.outbox_append"],
  ["product", "pay, capture declined", "product.stock.cancel.hold_end"],
];

interface Death {
  readonly who: string;
  readonly flow: FlowName;
  readonly at: string;
}

const random = seededRandom("kill-participant");
const all = process.env.PAY_CRASH === "all";
/** A death takes 4 to 9 s. */
const DRAWN = 4;
const deaths: readonly Death[] = COMMITS.map((commits) => ({ commits, order: random.next() }))
  .sort((one, other) => one.order - other.order)
  .slice(0, all ? COMMITS.length : DRAWN)
  .flatMap(({ commits: [who, flow, ...commits] }) => {
    const places = commits.flatMap(placesOf);
    const drawn = places[random.between(0, places.length - 1)] ?? "";
    return (all ? places : [drawn]).map((at) => ({ who, flow, at }));
  });

function placesOf(commit: string): string[] {
  const [point, passage] = commit.split("@");
  return ["before", "after"].map((side) => [`${point}.${side}-commit`, passage].filter(Boolean).join("@"));
}

describeOnStack("a participant in a process of its own", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-participants-"));
  const gate = join(folder, "gate");
  let system: System | undefined;
  let recoveredMsMax = 0;
  beforeAll(async () => {
    // Refunds are recovered as in production: the promise is held against the usual lease.
    const { PAYMENT_LEASE_MS: _short, ...leases } = SHORT_LEASES;
    // Three tries wait for the restart: time enough for it on a busy machine.
    const env = { ...leases, TCC_CALL_TIMEOUT_MS: "3000", FAULT_POINTS_GATE: gate };
    system = await startSystem({ mode: "cluster", env });
  }, 150_000);
  afterAll(async () => {
    process.stderr.write(
      `kill-participant: ${deaths.length} deaths, longest recovery ${recoveredMsMax} ms\n`,
    );
    await system?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 90_000);

  /** Runs a flow in which that process dies, to its end. */
  async function through({ who, flow, at }: Death): Promise<void> {
    if (system === undefined) throw new Error("the system is not ready");
    const pid = system.demo.pids[who] ?? 0;
    const begun = await FLOWS[flow].prepare(system);
    await atRest(system);
    // In one step: nobody must find the gate open and nothing in it.
    writeFileSync(`${gate}.new`, killAt(at));
    renameSync(`${gate}.new`, gate);
    const acting = FLOWS[flow].act(system, begun);
    acting.catch(() => undefined);
    await until(`${who} dies`, () => !exists(pid), { timeoutMs: 60_000 });
    const diedAt = performance.now();
    const successor = await system.replaced(who, pid);
    await acting;
    const recoveredMs = Math.round(performance.now() - diedAt);
    // One death: what the coordinator asks again finds a participant that stays.
    expect(system.demo.pids[who]).toBe(successor);
    recoveredMsMax = Math.max(recoveredMsMax, recoveredMs);
  }

  const expectRight = async () => {
    if (system === undefined) throw new Error("the system is not ready");
    expect(await violationsOf(system)).toEqual([]);
  };

  test.each(deaths)(
    "$who, killed at $at of: $flow",
    async (death) => {
      await through(death);
      await expectRight();
    },
    120_000,
  );

  test("product, out of reach while an order is placed and another paid: both wait, and end when it is back", async () => {
    if (system === undefined) throw new Error("the system is not ready");
    const running = system;
    const begun = await FLOWS.pay.prepare(running);
    await atRest(running);
    const pid = running.demo.pids.product ?? 0;
    // It hears and says nothing, and later goes on with what it was about: as behind a line that is cut.
    process.kill(pid, "SIGSTOP");
    const flows = [FLOWS.pay.act(running, begun), FLOWS.create.act(running)];
    for (const flow of flows) flow.catch(() => undefined);
    const asked = `select 1 from tcc_transactions, json_array_elements(participants) p
                   where business_key = $1 and p->>'name' = 'product' and (p->>'attempts')::int > 1`;
    try {
      await until(
        "it was asked in vain",
        async () => (await running.sql("saga", asked, [begun.orderId])).length > 0,
      );
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await Promise.all(flows);
    await expectRight();
  }, 120_000);

  test("payment, killed when the provider has given the money back: known again, once", async () => {
    const at = "psp.operate.psp_update_charges.after-commit";
    await through({ who: "payment", flow: "refund", at });
    await expectRight();
  }, 120_000);
});
