export const USAGE = `node bench/bench.ts [options]      (npm run bench -- [options])

What to run:
  --all                everything docs/performance.md has tables of; other options given with it hold for every part
  --stack              real NATS and Kafka, a process per service (default: npm start's single process)
  --replicas 2         with --stack: so many processes of each service, gateways too
  --concurrency 1,16   orders in flight, in a closed loop, one cell each (default 1,16,64,256)
  --rates 400,800      open loop: so many orders begin each second, and latencies count from when they were due
  --spike 200          so many orders at once, and again when all of them have ended
  --flow pay           create (default), pay, cancel, get (GET /orders/{id}), mixed (70 % create, 20 % pay, 10 % cancel)
                       or several; what is not create has no floor
  --follow             POST, then a GET that waits: shows what 202 takes (default: the POST waits)
  --variants hot       uniform (2 of 1,000 products), hot (always the same two) or both (default)
  --seconds 10         measured time of a cell
  --warm 3             time before it that is not counted
  --runs 1             rounds over all cells; more than one: medians and spreads
  --log-level info     LOG_LEVEL of the system; its log goes to a file
  --no-floor           leaves the plain SQL out
  --quick              3 s after 1 s, at 1, 16 and 64
  --patience 0         longest wait, in seconds, before a cell for a machine that others leave alone
  --json FILE          writes everything measured as JSON
  --keep               keeps the data folder, with the system's log

Other studies:
  --costs              statements, rows, log and memory an order, against bench/cost-budget.json; --accept writes that
  --flash              10,000 buyers of a product of which there are 1,000
  --history            beside 0 and 100,000 past orders, made by SQL [--sizes 0,100000,1000000]
  --backlog            a million events that wait for delivery, and new orders meanwhile [--orders 1000000]
  --retention          new orders while old rows are deleted [--orders 300000, in each of six tables]
  --waiting            what 10,000 open sagas cost that wait [--orders 10000]
  --flat               does an order cost the same after many? [--orders 100000]
  --peers              CREATE_ORDER in turn with other engines (npm installs them into .stack/peers), same rows, one check
  --profile            CPU profile of the services at each --concurrency (default 1,64)
  --statements         what PostgreSQL spends per statement (pg_stat_statements), same default

After each bench the audit looks at all databases; what it finds fails the bench.`;
