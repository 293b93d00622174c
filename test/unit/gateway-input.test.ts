import { refundBody } from "../../services/gateway/payments.ts";
import { PAGE, parseQueryString, readQuery } from "../../services/gateway/query.ts";

const read = (url: string) => readQuery(parseQueryString({ url }).query, PAGE);
const fieldsOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};
const refused = (field: string) => ({ type: "VALIDATION_FAILED", data: { errors: [{ field }] } });

describe("a query", () => {
  test("is read by its parameters", () => {
    expect(parseQueryString({ url: "/orders" })).toEqual({ url: "/orders", query: {} });
    expect(parseQueryString({ url: "/orders?limit=5&cursor=a%2Bb" }).url).toBe("/orders");
    expect(read("/orders?limit=5&cursor=a%2Bb")).toEqual({ limit: 5, cursor: "a+b" });
  });

  test.each(["hasOwnProperty", "__proto__", "constructor", "a[b]", "limit[]", "=", ""])(
    "with a parameter that nobody knows is refused, also when it is called %j",
    (name) => {
      const field = name === "=" ? "" : name;
      expect(fieldsOf(() => read(`/orders?${name}=1`))).toMatchObject(refused(field));
    },
  );

  test("with a parameter twice is refused", () => {
    expect(fieldsOf(() => read("/orders?limit=5&limit=5"))).toMatchObject(refused("limit"));
  });

  test("of a thousand unknown parameters is refused for the first of them", () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `p${index}=1`).join("&");
    const errors = Array.from({ length: 20 }, (_, index) => ({ field: `p${index}` }));
    expect(fieldsOf(() => read(`/orders?${many}`))).toMatchObject({ data: { errors } });
  });
});

describe("a body", () => {
  test("whose optional field is null is refused: null is not nothing", () => {
    expect(refundBody({ reason: "broken" })).toEqual({ reason: "broken" });
    expect(fieldsOf(() => refundBody({ reason: "broken", amountMinor: null }))).toMatchObject({
      data: {
        errors: [{ field: "amountMinor", message: "The 'amountMinor' field must not be null." }],
      },
    });
  });

  test("without a required field is told that it is required", () => {
    expect(fieldsOf(() => refundBody({}))).toMatchObject({
      data: { errors: [{ field: "reason", message: "The 'reason' field is required." }] },
    });
  });
});
