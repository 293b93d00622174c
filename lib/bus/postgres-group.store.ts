import type { Database, Tx } from "../database.ts";
import { statement } from "../statement.ts";

/** A member of a group, as its peers see it. */
export interface Member {
  readonly member: string;
  readonly topics: readonly string[];
}

export interface PartitionOwner {
  readonly topic: string;
  readonly partition: number;
  /** The member that holds it, alive or not. */
  readonly owner: string | null;
}

/** The next offset to hand to the group. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly position: number;
}

/** Key, value and headers are null where the group passes the message by. */
export interface LogRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: string | null;
  readonly timestampMs: number;
}

const saveMember = statement(
  "bus_save_member",
  `insert into bus_members (group_name, member, process, topics, expires_at)
   values ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 millisecond')
   on conflict (group_name, member) do update set expires_at = excluded.expires_at`,
);

const selectMembers = statement(
  "bus_members",
  `select member, topics from bus_members
   where group_name = $1 and expires_at > clock_timestamp() order by member`,
);

const selectOwners = statement(
  "bus_owners",
  `select p.topic, p.partition, o.owner
   from bus_partitions p
   left join bus_offsets o on o.group_name = $1 and o.topic = p.topic and o.partition = p.partition
   where p.topic = any($2::text[])
   order by p.topic, p.partition`,
);

export interface Beat {
  readonly group: string;
  readonly member: string;
  readonly process: string;
  readonly topics: readonly string[];
  readonly leaseMs: number;
}

/** Extends the member's lease and answers how the group stands, in one round trip and a commit. */
export async function beat(tx: Tx, { group, member, process, topics, leaseMs }: Beat) {
  tx.send(saveMember, [group, member, process, topics, leaseMs]);
  const [members, owners] = await Promise.all([
    tx.query<Member>(selectMembers, [group]),
    tx.query<PartitionOwner>(selectOwners, [group, topics]),
  ]);
  return { members, owners };
}

/**
 * Takes the partitions that nobody alive holds. The row's lock makes two members that claim one partition
 * take turns, and the second one then sees a living owner. A group that is new begins at the beginning.
 */
const claim = statement(
  "bus_claim",
  `insert into bus_offsets (group_name, topic, partition, owner)
   select $1, w.topic, w.partition, $2 from unnest($3::text[], $4::int[]) w(topic, partition)
   on conflict (group_name, topic, partition) do update set owner = excluded.owner
   where bus_offsets.owner is null or bus_offsets.owner = excluded.owner or not exists (
     select from bus_members m
     where m.group_name = excluded.group_name and m.member = bus_offsets.owner
       and m.expires_at > clock_timestamp())
   returning topic, partition, next_offset as position`,
);

type Named = { readonly topic: string; readonly partition: number };

export function claimPartitions(
  database: Database,
  group: string,
  member: string,
  wanted: readonly Named[],
): Promise<Position[]> {
  return database.query<Position>(claim, [group, member, ...columnsOf(wanted)]);
}

const release = statement(
  "bus_release",
  `update bus_offsets o set owner = null
   from unnest($3::text[], $4::int[]) w(topic, partition)
   where o.group_name = $1 and o.topic = w.topic and o.partition = w.partition and o.owner = $2`,
);

export async function releasePartitions(
  database: Database,
  group: string,
  member: string,
  released: readonly Named[],
): Promise<void> {
  await database.query(release, [group, member, ...columnsOf(released)]);
}

const leave = statement(
  "bus_leave",
  `with gone as (delete from bus_members where group_name = $1 and member = $2)
   update bus_offsets set owner = null where group_name = $1 and owner = $2`,
);

/** Gives everything back at once, so that the others need not wait for the lease to end. */
export async function leaveGroup(database: Database, group: string, member: string): Promise<void> {
  await database.query(leave, [group, member]);
}

/**
 * From each position onwards, at most `limit` messages in all; one index range per partition. What the group does not act
 * on is a row with nothing but its place: its text is not sent, read and thrown away. JSON text has its inner quotes
 * escaped, so a pattern with plain ones finds the header and nothing else.
 */
const fetch = statement(
  "bus_fetch",
  `select l.topic, l.partition, l."offset", date_part('epoch', l.at) * 1000 as "timestampMs",
          case when l.wanted then l.key end as key, case when l.wanted then l.value end as value,
          case when l.wanted then l.headers end as headers
   from unnest($1::text[], $2::int[], $3::bigint[]) w(topic, partition, position)
   cross join lateral (
     select b.*, $5::text[] is null or headers like any($5) or headers not like '%"event-type":"%' as wanted
     from bus_log b
     where b.topic = w.topic and b.partition = w.partition and b."offset" >= w.position
     order by b."offset" limit $4
   ) l
   limit $4`,
);

export function fetchEntries(
  database: Database,
  from: readonly Position[],
  limit: number,
  types?: readonly string[],
): Promise<LogRow[]> {
  const positions = from.map((one) => one.position);
  const patterns = types?.map((type) => `%"event-type":"${type.replace(/[\\%_]/g, "\\$&")}"%`);
  return database.query<LogRow>(fetch, [...columnsOf(from), positions, limit, patterns ?? null]);
}

/** Fenced by ownership: whoever lost a partition cannot move its position any more, in either direction. */
const commit = statement(
  "bus_commit",
  `update bus_offsets o set next_offset = c.position
   from unnest($3::text[], $4::int[], $5::bigint[]) c(topic, partition, position)
   where o.group_name = $1 and o.topic = c.topic and o.partition = c.partition
     and o.owner = $2 and o.next_offset <= c.position
   returning o.topic, o.partition`,
);

/** Answers the partitions whose position was stored; the others belong to somebody else. */
export function commitPositions(
  database: Database,
  group: string,
  member: string,
  positions: readonly Position[],
): Promise<Named[]> {
  return database.query<Named>(commit, [
    group,
    member,
    ...columnsOf(positions),
    positions.map((one) => one.position),
  ]);
}

function columnsOf(partitions: readonly Named[]): [string[], number[]] {
  return [partitions.map((one) => one.topic), partitions.map((one) => one.partition)];
}
