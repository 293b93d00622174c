import { inDatabase, prepareApi } from "../data.ts";
import { startLoad } from "../load/driver.ts";
import { cpuOf, cpuTimes } from "../measure/processes.ts";
import { number, table } from "../report/table.ts";
import type { System } from "../system.ts";
import type { StudyContext, StudyResult } from "./study.ts";

/** A hundredth of a core: what is less cannot be told from nothing. */
const MORE_MAX_MS = 10;

/** CPU in a second, in milliseconds. */
interface Idle {
  readonly node: number;
  readonly postgres: number;
}

/** What sagas cost that wait for something: an idle system beside one with 10,000 open ones. */
export async function studyWaiting({ options, start, progress }: StudyContext): Promise<StudyResult> {
  const system = await start();
  const load = await startLoad(await prepareApi(system));
  const cell = { flow: "create", variant: "uniform", concurrency: 16, inBursts: true } as const;
  const request = { cell, warmSeconds: 0, until: { orders: 64 }, isExact: true };
  await load.run(
    request,
    () => undefined,
    () => undefined,
  );
  load.stop();
  await idle(system, options.warmSeconds);
  const before: Idle[] = [];
  const during: Idle[] = [];
  for (let round = 0; round < options.runs; round += 1) {
    before.push(await idle(system, options.seconds));
    await open(system, options.orders);
    during.push(await idle(system, options.seconds));
    await close(system);
    progress(`${options.orders} open sagas: ${number(during.at(-1)?.node)} ms of Node a second`);
  }
  const [none, many] = [least(before), least(during)];
  const more = many.node + many.postgres - none.node - none.postgres;
  const complaints =
    more > MORE_MAX_MS ? [`${options.orders} open sagas cost ${number(more)} ms of CPU a second`] : [];
  return { report: report(none, many, options.orders), complaints, data: { before, during } };
}

/** As the engine leaves them that wait for an event: to be looked at when its time is over. */
async function open(system: System, count: number): Promise<void> {
  await inDatabase(system.demo.databases.saga, (client) =>
    client.query(
      `insert into saga_instances (id, saga_type, state, current_step, attempt, version, published, business_key, owner_id,
         correlation_id, input, progress, wake_at)
       select gen_random_uuid(), saga_type, 'RUNNING', 'reserveStock', attempt, version, published, gen_random_uuid(), owner_id,
         'bench', input, progress, now() + interval '1 hour'
       from (select * from saga_instances limit 1) one, generate_series(1, $1::int)`,
      [count],
    ),
  );
}

async function close(system: System): Promise<void> {
  await inDatabase(system.demo.databases.saga, async (client) => {
    await client.query("delete from saga_instances where correlation_id = 'bench'");
    await client.query("vacuum saga_instances");
  });
}

async function idle(system: System, seconds: number): Promise<Idle> {
  const { servicePids, postgresPid } = system;
  const read = () => ({
    node: cpuOf(servicePids),
    postgres: cpuTimes({ services: [], load: 0, postgres: postgresPid, brokers: [] }).postgres,
  });
  const before = read();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const after = read();
  return {
    node: (after.node - before.node) / seconds,
    postgres: (after.postgres - before.postgres) / seconds,
  };
}

/** Housekeeping comes and goes; the least is what always is. */
function least(all: readonly Idle[]): Idle {
  return {
    node: Math.min(...all.map(({ node }) => node)),
    postgres: Math.min(...all.map(({ postgres }) => postgres)),
  };
}

function report(none: Idle, many: Idle, count: number): string {
  const line = (name: string, { node, postgres }: Idle) => [name, number(node), number(postgres)];
  const rows = [line("nothing to do", none), line(`${count.toLocaleString("en-US")} open sagas`, many)];
  return ["CPU of an idle system, milliseconds a second", table(["", "Node", "PostgreSQL"], rows)].join("\n");
}
