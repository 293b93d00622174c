import { DATABASE_NAMES } from "../../lib/settings.ts";
import type { Count, SqlRule } from "./sql-rules.ts";

/** I11: nothing was altered in, taken out of or put into the audit trails. */

// Hashes are computed here once more, from what the columns say, and not by the function that the trail uses.
const CHAIN = `
  with entries as (
    select sequence, hash, previous_hash, lag(sequence) over trail as last, lag(hash) over trail as last_hash,
           sha256(previous_hash || convert_to(json_build_array(sequence,
             (extract(epoch from at) * 1000000)::bigint, actor, action, target, detail, correlation_id)::text, 'UTF8')) as computed
    from audit_trail window trail as (order by sequence)
  )
  select 'entry ' || sequence as entry,
         case when hash <> computed then 'is not what was written'
              when sequence <> coalesce(last, 0) + 1 then format('follows on %s: what was between is gone', coalesce(last, 0))
              else 'does not follow from the entry before it' end as problem
  from entries
  where hash <> computed or sequence <> coalesce(last, 0) + 1 or previous_hash <> coalesce(last_hash, sha256(''))
  union all
  select 'head', format('is at %s, and the last entry is %s', coalesce(h.sequence::text, 'nothing'), coalesce(e.sequence, 0))
  from (select 1) one
  left join audit_trail_head h on true
  left join (select sequence, hash from audit_trail order by sequence desc limit 1) e on true
  where h.sequence is distinct from coalesce(e.sequence, 0) or h.hash is distinct from coalesce(e.hash, sha256(''))`;

export const TRAIL_RULES: readonly SqlRule[] = DATABASE_NAMES.map((database) => ({
  invariant: "I11",
  database,
  needs: ["audit_trail", "audit_trail_head"],
  text: `select 'audit trail of ${database}, ' || entry as subject, problem from (${CHAIN}) found`,
}));

export const TRAIL_COUNTS: readonly Count[] = DATABASE_NAMES.map((database) => ({
  invariant: "I11",
  database,
  table: "audit_trail",
  what: "entries",
}));
