import { checkout } from "./checkout.suite.ts";

describe("checkout in one process on PostgreSQL", () => checkout("embedded"));
