import { faults, passPoint } from "../fault-points.ts";
import type { Bus } from "./bus.ts";

/** Puts fault points around what a bus publishes and hands on; without armed faults the bus stays as it is. */
export function withFaultPoints(bus: Bus): Bus {
  if (!faults.armed) return bus;
  const publish = bus.publish.bind(bus);
  const subscribe = bus.subscribe.bind(bus);
  bus.publish = async (messages) => {
    await passPoint("bus.publish.before-send");
    await publish(messages);
    await passPoint("bus.publish.after-reply");
  };
  bus.subscribe = (options) =>
    subscribe({
      ...options,
      handler: async (messages, controls) => {
        await passPoint(`bus.${options.group}.before-handle`);
        await options.handler(messages, controls);
        await passPoint(`bus.${options.group}.after-handle`);
      },
    });
  return bus;
}
