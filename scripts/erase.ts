import { configOfRunning } from "./demo/demo-file.ts";
import { reportFailure } from "./exit.ts";
import { eraseCustomer, OrdersOpenError } from "./privacy/erase.ts";
import { withDatabases } from "./privacy/system.ts";
import { UsageError } from "./usage-error.ts";

const USAGE =
  "usage: npm run erase -- <customer id>      overwrites what is stored of that person (docs/privacy.md)";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** npm run erase: exit code 0 nothing is left of the person, 1 not yet, 2 a wrong setting or argument. */
try {
  const [customerId = "", ...rest] = process.argv.slice(2);
  if (!UUID.test(customerId) || rest.length > 0) throw new UsageError(USAGE);
  const config = configOfRunning();
  const { customers, orders } = await withDatabases(config, "erase", (databases) =>
    eraseCustomer(databases, customerId),
  );
  const known = customers > 0 ? "the customer" : "no customer of this id";
  console.log(`erase: ${known} and the addresses of ${orders} orders`);
} catch (error) {
  if (error instanceof OrdersOpenError) console.error(`erase: not yet: ${error.message}`);
  process.exitCode = error instanceof OrdersOpenError ? 1 : reportFailure("erase", error);
}
