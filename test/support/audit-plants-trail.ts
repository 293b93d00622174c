import type { Plant } from "./audit-plant.ts";

/** Hands in the audit trail of products, which has an entry for each of three adjustments. */

/** As whoever owns the server: its triggers keep anybody else from it. */
const hands = (text: string) => ({ product: `set session_replication_role = replica; ${text}` });
const about = (...entries: readonly string[]) => entries.map((entry) => `audit trail of product, ${entry}`);
const hashOf = (previous: string) =>
  `sha256(${previous} || convert_to(json_build_array(sequence, (extract(epoch from at) * 1000000)::bigint, actor, action,
     target, detail, correlation_id)::text, 'UTF8'))`;

export const TRAIL_PLANTS: readonly Plant[] = [
  {
    name: "an entry of the audit trail that was altered",
    invariant: "I11",
    statements: hands("update audit_trail set actor = 'nobody' where sequence = 2"),
    subjects: about("entry 2"),
  },
  {
    name: "an entry that was altered, and its hash with it",
    invariant: "I11",
    statements: hands(`
      update audit_trail set detail = '{"delta": 1}' where sequence = 2;
      update audit_trail set hash = ${hashOf("previous_hash")} where sequence = 2`),
    subjects: about("entry 3"),
  },
  {
    name: "an entry that was taken out of the audit trail",
    invariant: "I11",
    statements: hands("delete from audit_trail where sequence = 2"),
    subjects: about("entry 3"),
  },
  {
    name: "a last entry that was taken out of the audit trail",
    invariant: "I11",
    statements: hands("delete from audit_trail where sequence = 3"),
    subjects: about("head"),
  },
  {
    name: "an entry that was put into the audit trail",
    invariant: "I11",
    statements: hands(`
      insert into audit_trail (sequence, at, actor, action, target, detail, previous_hash, hash)
      select 4, at, 'somebody', action, target, detail, hash, '' from audit_trail where sequence = 3;
      update audit_trail set hash = ${hashOf("previous_hash")} where sequence = 4`),
    subjects: about("head"),
  },
  {
    name: "an audit trail that was emptied",
    invariant: "I11",
    statements: hands("delete from audit_trail; delete from audit_trail_head"),
    subjects: about("head"),
  },
];
