import fc from "fast-check";
import type { Person } from "../../../scripts/demo/tokens.ts";
import { bodies, strangeBodies } from "./bodies.ts";
import { type Draft, shown } from "./draft.ts";
import { keys, otherHeaders, strangeKeys, strangeTypes, types } from "./headers.ts";
import { OPERATIONS, type Operation, type Parameter } from "./operations.ts";
import { fitting, hostileText, idOf } from "./values.ts";

const PEOPLE: Readonly<Record<string, readonly Person[]>> = {
  customer: ["customer", "customer", "customer", "otherCustomer", "inactiveCustomer"],
  staff: ["staff"],
  operator: ["operator"],
  service: ["service"],
};
const EVERYBODY = Object.values(PEOPLE).flat();

/** Requests that differ from what the document asks for in this share of their parts, in percent. */
export function requests(strangeness: number): fc.Arbitrary<Draft> {
  const any = fc.oneof(
    ...OPERATIONS.map((operation) => ({
      // Without orders and payments in hand all others have nothing to be about.
      weight: operation.id === "createOrder" || operation.id === "payOrder" ? 5 : 1,
      arbitrary: requestOf(operation, strangeness),
    })),
  );
  return any.map((draft) => ({ ...draft, [fc.toStringMethod]: () => shown(draft) }));
}

function requestOf(operation: Operation, strangeness: number): fc.Arbitrary<Draft> {
  const mostly = <Value>(usual: fc.Arbitrary<Value>, strange: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
    fc.oneof({ weight: 100 - strangeness, arbitrary: usual }, { weight: strangeness, arbitrary: strange });
  return fc.record({
    operation: fc.constant(operation),
    path: mostly(paths(operation, false), paths(operation, true)),
    query: mostly(queries(operation), strangeQueries(operation)),
    headers: fc
      .tuple(mostly(keys(operation), strangeKeys), mostly(types(operation), strangeTypes), otherHeaders)
      .map(([key, type, others]) => ({ ...others, ...type, ...key })),
    sender: mostly<Draft["sender"]>(
      rightful(operation),
      fc.oneof(fc.constantFrom(...EVERYBODY), falseTokens),
    ),
    body: mostly(bodies(operation), strangeBodies(operation)),
  });
}

function paths({ path, tag, id }: Operation, strange: boolean): fc.Arbitrary<Record<string, string>> {
  const segment = ({ name, schema }: Parameter) => {
    if (strange) return strangeSegments;
    if (schema.format === "uuid") return ids(name, tag, id);
    // One without any characters would be another address.
    return fitting(schema, name).map((value) => encodeSegment(String(value)) || "-");
  };
  return fc.record(Object.fromEntries(path.map((one) => [one.name, segment(one)])), {
    noNullPrototype: true,
  });
}

/**
 * A coordinator of its own may do to real orders whatever it likes, and so may an operator who skips a step that is in
 * hand; whatever came of that would be no fault of ours. They get ids of their own, and of what has ended; none is sold.
 */
function ids(name: string, tag: string, id: string): fc.Arbitrary<string> {
  if (id === "confirmStock") return fc.uuid();
  if (tag === "coordinators") return fc.oneof(idOf("foreign"), fc.uuid());
  return fc.oneof(
    { weight: 7, arbitrary: idOf(id === "skipSaga" ? "endedSagaId" : name) },
    { weight: 1, arbitrary: fc.uuid() },
  );
}

const strangeSegments = fc.oneof(
  hostileText.filter((text) => text !== "").map(encodeSegment),
  fc.constantFrom("%", "%ff", "%e0%a4%a", "%2e%2e%2f", "a%2fb", "..%5c", "%c0%af", "-", "1", "0".repeat(400)),
  fc.string({ minLength: 1, maxLength: 20 }).map(encodeSegment),
);

/** Dots are escaped as well: alone they would mean another address. A lone half of a pair has no UTF-8. */
function encodeSegment(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(".", "%2e") + (text === "." ? "%20" : "");
}

type Query = readonly (readonly [string, string])[];

function queries({ query }: Operation): fc.Arbitrary<Query> {
  const one = ({ name, schema }: Parameter) => {
    const known = name === "cursor" ? idOf("cursor") : fitting(schema, name);
    return fc.option(known, { freq: 3, nil: undefined }).map((value) => [name, value] as const);
  };
  return fc
    .tuple(...query.map(one))
    .map((all) =>
      all.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as const])),
    );
}

function strangeQueries(operation: Operation): fc.Arbitrary<Query> {
  const names = operation.query.map(({ name }) => name);
  const name = fc.constantFrom(
    ...names,
    ...names,
    "__proto__",
    "constructor[prototype]",
    "limit[]",
    "x",
    "hasOwnProperty",
  );
  const pair = fc.tuple(
    name,
    fc.oneof(hostileText, fc.constantFrom("0", "101", "-1", "1e2", "0x10", "9".repeat(30))),
  );
  const several = fc.array(pair, { minLength: 1, maxLength: 3 });
  const twice = queries(operation).map((all) => [...all, ...all]);
  const many = fc.constant(Array.from({ length: 60 }, (_, index) => [`p${index}`, "1"] as const));
  return fc.oneof(
    { weight: 4, arbitrary: several },
    { weight: 2, arbitrary: twice },
    { weight: 1, arbitrary: many },
  );
}

function rightful({ roles }: Operation): fc.Arbitrary<Draft["sender"]> {
  const people = (roles ?? []).flatMap((role) => PEOPLE[role] ?? []);
  return people.length === 0 ? fc.constant({ authorization: null }) : fc.constantFrom(...people);
}

const NONE_TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwicm9sZXMiOlsic3RhZmYiXX0.";
const falseTokens: fc.Arbitrary<Draft["sender"]> = fc
  .constantFrom(
    null,
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Basic YTpi",
    "bearer a.b.c",
    `Bearer ${NONE_TOKEN}`,
    `Bearer ${"a".repeat(7_000)}`,
  )
  .map((authorization) => ({ authorization }));
