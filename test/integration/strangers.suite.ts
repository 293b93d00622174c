import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { createSeal, type PacketSeal, WINDOW_MS } from "../../lib/packet-seal.ts";
import { created, orderOf, paid } from "../support/money.ts";
import { meetStranger, type Stranger } from "../support/stranger.ts";
import type { Shared } from "../support/use-system.ts";

/**
 * Whoever reaches NATS: one who knows Moleculer's protocol, one who offers our services, one who sends again what was
 * said, and one who is of the cluster and calls what is not for him. None of them moves money, orders or sagas.
 */
export function strangers(shared: () => Shared): void {
  let stranger: Stranger;
  let secret: string;
  let ours: PacketSeal;
  beforeAll(async () => {
    const { system } = shared();
    secret = readFileSync(join(system.dataDir, "demo-keys", "cluster-secret"), "utf8");
    ours = createSeal([secret], "oms");
    stranger = await meetStranger(system.demo.natsUrl ?? "", ours);
  });
  afterAll(() => stranger.leave());

  const order = () => {
    const { system } = shared();
    return created(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
  };
  /** What somebody may want who has come this far. */
  const wishes = (orderId: string): readonly (readonly [string, object])[] => [
    ["payment.confirm", { gid: randomUUID() }],
    ["order.confirm", { orderId }],
    ["order.cancel", { orderId, reason: { code: "X", message: "" } }],
    ["saga.forceCancel", { id: randomUUID(), actor: "me", reason: "because" }],
  ];
  /** Answered last: a node hears requests in their order. */
  const witness = async (service: string, params: object) =>
    stranger.ask(`${service}.get`, params, { seal: ours, caller: "gateway" });
  const allHeard = async (orderId: string) => {
    await witness("order", { orderId });
    await witness("payment", { paymentId: randomUUID() });
    await witness("saga", { sagaId: randomUUID() });
  };

  test.each<[string, () => PacketSeal | undefined]>([
    ["without a seal", () => undefined],
    ["with a seal of his own", () => createSeal(["a secret that somebody has made up himself"], "oms")],
    ["with a seal of another cluster", () => createSeal([secret], "staging")],
    ["with a seal that is too old", () => createSeal([secret], "oms", () => Date.now() - WINDOW_MS - 1_000)],
  ])("whoever calls %s is not answered, and nothing happens", async (_what, seal) => {
    const { orderId } = await order();
    const ids = wishes(orderId).map(([action, params]) => stranger.say(action, params, { seal: seal() }));
    await allHeard(orderId);
    expect(ids.map((id) => stranger.hasHeard(id))).toEqual(ids.map(() => false));
    await expect(orderOf(shared().system, orderId)).resolves.toMatchObject({ status: "created" });
  });

  test.each(["customer", "gateway-2", "", "$node"])("a node of ours is refused as %p", async (caller) => {
    const { orderId } = await order();
    for (const [action, params] of wishes(orderId)) {
      const answer = await stranger.ask(action, params, { seal: ours, caller });
      expect(answer).toMatchObject({ success: false, error: { type: "CALLER_NOT_ALLOWED" } });
    }
    const options = await stranger.ask("$node.options", {}, { seal: ours, caller, node: "order" });
    expect(options).toMatchObject({ success: false, error: { type: "CALLER_NOT_ALLOWED" } });
    await expect(orderOf(shared().system, orderId)).resolves.toMatchObject({ status: "created" });
  });

  test("a call by whom it is for goes through: it was the caller, and the seal", async () => {
    const answer = await stranger.ask("payment.cancel", { gid: randomUUID() }, { seal: ours });
    expect(answer).toMatchObject({ success: true, data: { status: "voided" } });
  });

  test("who offers our services is asked by nobody, and finds none", async () => {
    const { system } = shared();
    const asked: string[] = [];
    const actions = ["try", "confirm", "cancel"].map((name) => [name, () => asked.push(name)] as const);
    const broker = new ServiceBroker({
      nodeID: `offering-${randomUUID()}`,
      namespace: "oms",
      transporter: { type: "NATS", options: { url: system.demo.natsUrl } },
      logger: false,
    });
    broker.createService({ name: "payment", actions: Object.fromEntries(actions) });
    await broker.start();
    try {
      await paid(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
      const known = await broker.call<readonly { id: string }[]>("$node.list");
      expect(known.map(({ id }) => id)).toEqual([broker.nodeID]);
      expect(asked).toEqual([]);
    } finally {
      await broker.stop();
    }
  });
}
