import { describeOnStack } from "../support/system.ts";
import { money } from "./money.suite.ts";

describeOnStack("money on PostgreSQL, NATS and Kafka, a process per service", () => money("stack"));
