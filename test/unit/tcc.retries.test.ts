import type { OperatorAction, Reply } from "../../engine/protocol.ts";
import { createTccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
import { errorOf, LEASE_MS, NOW, ORDER_ID } from "./saga.drive.ts";

/** What an operator frees goes on under new tokens: an answer to an earlier attempt is late, and changes nothing. */

const protocol = createTccProtocol([payOrderTcc], {
  leaseMs: LEASE_MS,
  callTimeoutMs: 5_000,
  tryAttemptsMax: 3,
});
const busy: Reply = { ok: false, error: errorOf("OVERLOADED", true) };
const declined: Reply = { ok: false, error: errorOf("PAYMENT_DECLINED", false) };

function drive() {
  const common = { id: "gid", type: "PAY_ORDER", businessKey: ORDER_ID, ownerId: "o", correlationId: "c" };
  let { instance }: { instance: TccInstance } = protocol.start({ ...common, input: {} }, NOW);
  const tokens = () => protocol.owed(instance).map(({ token }) => token);
  const give = (input: Parameters<typeof protocol.advance>[1]) => {
    const outcome = protocol.advance(instance, input, NOW);
    instance = outcome.instance;
    return outcome;
  };
  return {
    tokens,
    instance: () => instance,
    answer: (token: string, reply: Reply = { ok: true, result: {} }) => give({ kind: "reply", token, reply }),
    operate: (action: OperatorAction) => give({ kind: "operator", action }),
    answerAll() {
      for (const token of tokens()) this.answer(token);
    },
  };
}

test("a stuck confirmation that is tried again does not take an earlier attempt's answer for the new one's", () => {
  const tcc = drive();
  tcc.answerAll();
  const [first = ""] = tcc.tokens();
  expect(first).toMatch(/^confirm:payment:/);
  while (!tcc.instance().stuck) tcc.answer(tcc.tokens()[0] ?? "", busy);
  const { effects } = tcc.operate("retry");
  expect(effects.map((effect) => "token" in effect && effect.token)).toEqual(tcc.tokens());
  expect(tcc.instance()).toMatchObject({ state: "CONFIRMING", stuck: false, wakeInMs: LEASE_MS });
  for (const late of [busy, declined]) expect(tcc.answer(first, late).changed).toBe(false);
  tcc.answerAll();
  tcc.answerAll();
  expect(tcc.instance().state).toBe("CONFIRMED");
});

test("tries that are repeated by hand count on, and only those that are open", () => {
  const tcc = drive();
  const [payment = "", order = ""] = tcc.tokens();
  tcc.answer(payment);
  tcc.operate("retry");
  expect(tcc.tokens()).toEqual(["try:order:2", "try:product:2"]);
  expect(tcc.answer(order, busy).changed).toBe(false);
  tcc.answerAll();
  expect(tcc.tokens()).toEqual(["confirm:payment:1"]);
});
