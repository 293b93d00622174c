import { faults, passPoint } from "../fault-points.ts";
import type { Bus } from "./bus.ts";

/** Puts fault points around what a bus publishes and hands on; while nothing is armed it is called as it is. */
export function withFaultPoints(bus: Bus): Bus {
  const publish = bus.publish.bind(bus);
  const subscribe = bus.subscribe.bind(bus);
  const publishThroughPoints: Bus["publish"] = async (messages) => {
    await passPoint("bus.publish.before-send");
    await publish(messages);
    await passPoint("bus.publish.after-reply");
  };
  bus.publish = (messages) => (faults.armed ? publishThroughPoints(messages) : publish(messages));
  bus.subscribe = (options) =>
    subscribe({
      ...options,
      handler: async (messages, controls) => {
        if (faults.armed) await passPoint(`bus.${options.group}.before-handle`);
        await options.handler(messages, controls);
        if (faults.armed) await passPoint(`bus.${options.group}.after-handle`);
      },
    });
  return bus;
}
