import fc from "fast-check";
import { tracesIn } from "../support/traces.ts";

/** The search for planted values finds them in their disguises, or its silence would mean nothing. */

const VALUE = "Zq7Main Street 12";

test.each<[string, (text: string) => string]>([
  ["as it is", (text) => text],
  ["in capitals", (text) => text.toUpperCase()],
  ["as hex", (text) => Buffer.from(text).toString("hex")],
  ["as base64", (text) => Buffer.from(text).toString("base64")],
  ["as base64url", (text) => Buffer.from(text).toString("base64url")],
])("a value is found %s, wherever in a text it stands", (_how, disguise) => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, behind) => {
      expect(tracesIn(disguise(before + VALUE + behind), { street: VALUE })).toEqual(["street"]);
    }),
  );
});

test("what is not there is not found", () => {
  expect(tracesIn("Zq7Main Street 13", { street: VALUE, other: "x1y2" })).toEqual([]);
});
