import { describeOnStack } from "../support/system.ts";
import { checkout } from "./checkout.suite.ts";

describeOnStack("checkout on PostgreSQL, NATS and Kafka, a process per service", () => checkout("stack"));
