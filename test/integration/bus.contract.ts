import type { Bus } from "../../lib/bus/bus.ts";
import type { BusAddress } from "../support/bus-at.ts";
import { BusTest } from "../support/bus-group.ts";
import { describeGroups } from "./bus-contract/groups.ts";
import { describeHandlers } from "./bus-contract/handlers.ts";
import { describeMessages } from "./bus-contract/messages.ts";
import { describeOutages } from "./bus-contract/outages.ts";
import { describeSizes } from "./bus-contract/sizes.ts";
import { describeSubscriptions } from "./bus-contract/subscriptions.ts";

export interface Broker {
  readonly address: BusAddress;
  stop(): Promise<void>;
  /** Without warning. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** What a test works with; made anew for each one. */
export interface BusFixture {
  readonly broker: Broker;
  readonly test: BusTest;
  /** The first of the buses that the test opens. */
  readonly bus: Bus;
}

/**
 * What every bus must do, whichever broker it stands on. Each test has topics and a group of its own on one real
 * broker; other members live in processes of their own where they are to be killed.
 */
export function describeBus(broker: () => Broker): void {
  let test: BusTest;
  let bus: Bus;
  const fixture: BusFixture = {
    get broker() {
      return broker();
    },
    get test() {
      return test;
    },
    get bus() {
      return bus;
    },
  };

  beforeEach(() => {
    test = new BusTest(broker().address);
    bus = test.openBus();
  });

  afterEach(async () => {
    await test.close();
  });

  describeMessages(fixture);
  describeSizes(fixture);
  describeHandlers(fixture);
  describeGroups(fixture);
  describeSubscriptions(fixture);
  describeOutages(fixture);
}
