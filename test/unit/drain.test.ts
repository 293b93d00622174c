import { ServiceBroker } from "moleculer";
import { drain, drainFirst } from "../../lib/drain.ts";

test("what takes work in ends before what does the work, and that before any service; a failure stops nobody", async () => {
  const order: string[] = [];
  const broker = new ServiceBroker({
    logger: false,
    middlewares: [drain()],
    skipProcessEventRegistration: true,
  });
  broker.createService({
    name: "worker",
    async stopped() {
      order.push("service");
    },
  });
  const step = (name: string) => async () => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    order.push(`${name} ends`);
  };
  drainFirst(broker, "engine", step("engine"));
  drainFirst(broker, "broken", () => {
    throw new Error("broken");
  });
  drainFirst(broker, "gateway", step("gateway"), "intake");
  await broker.start();
  await broker.stop();
  expect(order).toEqual(["gateway begins", "gateway ends", "engine begins", "engine ends", "service"]);
});
