import { money } from "./money.suite.ts";

describe("money in one process on PostgreSQL", () => money("embedded"));
