import { Errors } from "moleculer";
import {
  CommitOutcomeUnknownError,
  DatabaseUnavailableError,
  InvalidInputError,
  InvariantError,
  NotFoundError,
  OverloadedError,
  RequestInProgressError,
} from "../../lib/errors.ts";
import { problemOf } from "../../services/gateway/errors.ts";
import { MethodNotAllowedError, UnauthenticatedError } from "../../services/gateway/refusals.ts";

/** What the outside is told. Also of errors that crossed NATS, which arrive as plain Errors with loose properties. */

const told = (error: unknown) => {
  const { problem, headers } = problemOf(error, "/api/orders", "correlation-1");
  return { ...problem, headers };
};

/** As Moleculer rebuilds an error class that it does not know. */
const remote = (message: string, properties: object) => Object.assign(new Error(message), properties);

test("a refusal keeps its status, code and sentence", () => {
  expect(told(new NotFoundError("order", "17"))).toEqual({
    type: "urn:holdfast:problem:order-not-found",
    title: "Not Found",
    status: 404,
    detail: "No such order: 17",
    code: "ORDER_NOT_FOUND",
    instance: "/api/orders",
    correlationId: "correlation-1",
    headers: {},
  });
});

test("a refusal that crossed NATS is told like one of this process", () => {
  const error = remote("No such order: 17", {
    name: "NotFoundError",
    code: 404,
    type: "ORDER_NOT_FOUND",
    data: { id: "17" },
  });
  expect(told(error)).toEqual(told(new NotFoundError("order", "17")));
});

test("a request in progress says when to come back", () => {
  expect(told(new RequestInProgressError(2))).toMatchObject({
    status: 409,
    code: "REQUEST_IN_PROGRESS",
    headers: { "retry-after": "2" },
  });
});

test.each([
  [new DatabaseUnavailableError("order"), 503, "DATABASE_UNAVAILABLE"],
  // As PostgreSQL's driver throws it, and as it arrives from another process.
  [
    Object.assign(new Error("canceling statement due to lock timeout"), { code: "55P03" }),
    503,
    "DATABASE_BUSY",
  ],
  [new CommitOutcomeUnknownError("order"), 503, "COMMIT_OUTCOME_UNKNOWN"],
  [new OverloadedError("saga.createOrder"), 503, "OVERLOADED"],
  [new Errors.ServiceNotFoundError({ action: "saga.createOrder" }), 503, "SERVICE_NOT_AVAILABLE"],
  [new Errors.ServiceNotAvailableError({ action: "saga.createOrder" }), 503, "SERVICE_NOT_AVAILABLE"],
  [new Errors.RequestRejectedError({ action: "saga.createOrder" }), 503, "SERVICE_NOT_AVAILABLE"],
  [new Errors.QueueIsFullError({ action: "saga.createOrder" }), 503, "OVERLOADED"],
])("%s is told as 503 with Retry-After", (error, status, code) => {
  expect(told(error)).toMatchObject({ status, code, headers: { "retry-after": "1" } });
});

test.each([
  new Errors.RequestTimeoutError({ action: "saga.createOrder", nodeID: "n" }),
  new Errors.RequestSkippedError({ action: "saga.createOrder", nodeID: "n" }),
])("%s is told as 504", (error) => {
  expect(told(error)).toMatchObject({ status: 504, code: "REQUEST_TIMEOUT" });
});

test("fields that are wrong are listed, of ours and of Moleculer's own validator", () => {
  const errors = [{ field: "items", message: "required" }];
  expect(told(new InvalidInputError(errors))).toMatchObject({
    status: 422,
    code: "VALIDATION_FAILED",
    errors,
  });
  const finding = { type: "required", field: "items", message: "required", actual: "secret" };
  const moleculer = new Errors.ValidationError("Parameters validation error!", "VALIDATION_ERROR", [finding]);
  expect(told(moleculer)).toMatchObject({ status: 422, code: "VALIDATION_FAILED", errors });
  expect(JSON.stringify(told(moleculer))).not.toContain("secret");
});

test("a 401 names the scheme, and the error only when a token was given", () => {
  const headersFor = (tokenGiven: boolean) => told(new UnauthenticatedError("no", { tokenGiven })).headers;
  expect(headersFor(false)).toEqual({ "www-authenticate": 'Bearer realm="holdfast"' });
  expect(headersFor(true)).toEqual({ "www-authenticate": 'Bearer realm="holdfast", error="invalid_token"' });
});

test("a 405 names the methods", () => {
  expect(told(new MethodNotAllowedError(["GET", "POST"])).headers).toEqual({ allow: "GET, POST" });
});

test.each([
  ["a TypeError", new TypeError("Cannot read properties of undefined")],
  [
    "an error of PostgreSQL",
    remote('column "x" of relation "orders" does not exist', { code: "42703", severity: "ERROR" }),
  ],
  ["an error of Kafka", remote("NOT_LEADER select 1", { code: 6, type: "NOT_LEADER" })],
  ["a broken invariant", new InvariantError("select * from orders")],
  ["a refusal with a type in prose", remote("select 1", { code: 400, type: "entity.parse.failed" })],
  ["a thrown string", "select 1"],
  ["nothing", undefined],
])("of %s nothing is told but that it happened", (_what, error) => {
  const answer = told(error);
  expect(answer).toMatchObject({ status: 500, code: "INTERNAL_ERROR" });
  expect(JSON.stringify(answer)).not.toMatch(/select|column|undefined|entity|NOT_LEADER/);
});
