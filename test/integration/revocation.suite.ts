import { randomUUID } from "node:crypto";
import { demoKey, genuineToken } from "../support/forged-tokens.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** What becomes of tokens that have not expired when an operator revokes them. */
export function revocation(shared: () => Shared): void {
  test("what was issued so far opens nothing within seconds; newer tokens and those of others do", async () => {
    const { system } = shared();
    const [lost, kept] = [randomUUID(), randomUUID()];
    const list = async (sub: string, ver?: number) => {
      const token = await genuineToken(demoKey(system.dataDir), { sub, roles: ["customer"], ver });
      return (await system.api("/orders", { authorization: `Bearer ${token}` })).status;
    };
    const revoke = async (version?: number) => {
      const body = { subject: lost, reason: "a lost laptop", version };
      const answer = await system.api("/ops/tokens/revoke", { as: "operator", body });
      expect(answer.status).toBe(200);
      return answer.body?.version;
    };
    expect(await list(lost)).toBe(200);
    expect(await revoke()).toBe(1);
    await until("the gateway knows", async () => (await list(lost)) === 401);
    expect([await list(lost, 1), await list(kept)]).toEqual([200, 200]);
    expect([await revoke(5), await revoke(3), await revoke()]).toEqual([5, 5, 6]);
    await until("the gateway knows", async () => (await list(lost, 5)) === 401);
    expect(await list(lost, 6)).toBe(200);
    // Versions may be times in milliseconds.
    expect(await revoke(1_800_000_000_000)).toBe(1_800_000_000_000);
  }, 60_000);
}
