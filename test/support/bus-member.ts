/**
 * A member of a group in a process of its own, so that tests can kill or freeze it. What it is to do comes as its
 * argument, what it receives goes to the parent, and it ends when the parent is gone.
 */
import type { ReceivedMessage } from "../../lib/bus/bus.ts";
import { type BusAddress, openBusAt } from "./bus-at.ts";

export interface MemberTask extends BusAddress {
  readonly group: string;
  readonly topics: readonly string[];
  readonly batchSizeMax: number;
  /** The handler reports its first batch and does not come back until it is told to. */
  readonly holdsFirst: boolean;
}

export type MemberReport =
  | { readonly type: "state"; readonly state: string }
  | { readonly type: "received"; readonly messages: readonly ReceivedMessage[] };

export type MemberOrder = "go on" | "stop";

async function runMember(task: MemberTask): Promise<void> {
  const bus = openBusAt(task);
  const report = (message: MemberReport) => process.send?.(message);
  let goOn: () => void = () => undefined;
  const told = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let holds = task.holdsFirst;
  const subscription = await bus.subscribe({
    ...task,
    handler: async (messages) => {
      report({ type: "received", messages });
      if (!holds) return;
      holds = false;
      await told;
    },
  });
  let state = "";
  setInterval(() => {
    if (subscription.state() === state) return;
    state = subscription.state();
    report({ type: "state", state });
  }, 20);
  process.on("message", (order: MemberOrder) => {
    if (order === "go on") goOn();
    else void bus.close().then(() => process.exit(0));
  });
  process.on("disconnect", () => process.exit(1));
}

void runMember(JSON.parse(process.argv[2] ?? "") as MemberTask);
