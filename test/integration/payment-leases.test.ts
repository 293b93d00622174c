import type { ProviderRequest } from "../../services/payment/psp/port.ts";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { AMOUNT, claim, expectBalanced, openPayments, type PaymentWorld } from "./payment.world.ts";

/** Who works on a refund keeps it for as long as that takes, however short the lease is that a death would leave. */

const leaseMs = 500;
const server = useServer();
let world: PaymentWorld;
const asked: string[] = [];
/** Opens the provider's hand. */
let answer: () => void = () => undefined;
const held = new Promise<void>((resolve) => {
  answer = resolve;
});

beforeAll(async () => {
  const env = { PAYMENT_LEASE_MS: String(leaseMs), PSP_TIMEOUT_MS: "60000" };
  world = await openPayments(server, env, (provider) => ({
    ...provider,
    refund: async (request: ProviderRequest, signal) => {
      asked.push(request.attemptId);
      await held;
      return provider.refund(request, signal);
    },
    lookup: (request: ProviderRequest, signal) => {
      asked.push(`lookup ${request.attemptId}`);
      return provider.lookup(request, signal);
    },
  }));
  await world.node();
});
afterAll(() => world.stop());

test("a provider that takes longer than the lease is asked once, by one node", async () => {
  const { paymentId, orderId } = await world.captured();
  await world.call("payment.refund", { paymentId, reason: "broken", idempotency: claim() });
  const attempt = async () => {
    const rows = await world.sql<{ id: string; tries: number; next_at: Date }>(
      "select id, tries, next_at from payment_attempts where payment_id = $1 and operation = 'refund'",
      [paymentId],
    );
    return rows[0];
  };
  const first = await until("it is asked", async () => (asked.length > 0 ? await attempt() : undefined));
  await until("its lease was renewed until long after its time", async () => {
    const now = await attempt();
    return now !== undefined && now.next_at.getTime() > first.next_at.getTime() + 4 * leaseMs;
  });
  answer();
  expect(await world.told(orderId, "PAYMENT_REFUNDED")).toMatchObject({ data: { amountMinor: AMOUNT } });
  expect(asked).toEqual([first.id]);
  expect(await attempt()).toMatchObject({ tries: 1, next_at: null });
  await expectBalanced(world);
});
