import { createHmac, hkdfSync } from "node:crypto";
import { createSeal, WINDOW_MS } from "../../lib/packet-seal.ts";

/** What comes out of a seal is what went in, or nothing. */

const [OLD, NEW] = ["the secret of last year, 32 bytes+", "the secret of this year, 32 bytes+"];
const NOW = 1_790_000_000_000;
const data = Buffer.from('{"action":"payment.confirm"}');
const sealOf = (secrets: readonly string[] = [OLD], namespace = "oms", at = NOW) =>
  createSeal(secrets, namespace, () => at);

test("a packet is opened by who knows the secret", () => {
  const sealed = sealOf().seal("REQ", data);
  expect(sealOf().open("REQ", sealed)).toEqual(data);
  expect(sealOf().open("RES", sealOf().seal("RES", Buffer.alloc(0)))).toEqual(Buffer.alloc(0));
});

test("the seal is the HMAC that Node's own crypto makes", () => {
  const key = Buffer.from(hkdfSync("sha256", OLD, "oms", "holdfast packets", 32));
  for (const size of [0, 1, 63, 64, 1_000]) {
    const packet = Buffer.alloc(size, "x");
    const sealed = sealOf().seal("HEARTBEAT", packet);
    const type = Buffer.from("HEARTBEAT".padEnd(16));
    const hmac = createHmac("sha256", key)
      .update(Buffer.concat([type, sealed.subarray(32)]))
      .digest("hex");
    expect(sealed.subarray(0, 32).toString("hex")).toBe(hmac);
    expect(sealed.subarray(40)).toEqual(packet);
  }
});

test("whatever bit is changed on the way, it is refused", () => {
  const sealed = sealOf().seal("REQ", data);
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const changed = Buffer.from(sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(sealOf().open("REQ", changed)).toBe("seal");
  }
});

test.each([
  ["cut short", () => sealOf().open("REQ", sealOf().seal("REQ", data).subarray(0, 39)), "too short"],
  ["without its end", () => sealOf().open("REQ", sealOf().seal("REQ", data).subarray(0, -1)), "seal"],
  [
    "bare",
    () => sealOf().open("REQ", Buffer.from(JSON.stringify({ sender: "a", ver: "5", id: "1234567890" }))),
    "seal",
  ],
  ["of another secret", () => sealOf().open("REQ", sealOf([NEW]).seal("REQ", data)), "seal"],
  ["of another cluster", () => sealOf().open("REQ", sealOf([OLD], "other").seal("REQ", data)), "seal"],
  ["of another kind", () => sealOf().open("RES", sealOf().seal("REQ", data)), "seal"],
])("a packet %s is refused", (_what, open, refusal) => {
  expect(open()).toBe(refusal);
});

test("a packet is good for as long as clocks may differ, and not when it is sent again later", () => {
  const sealed = sealOf().seal("REQ", data);
  const at = (ms: number) => sealOf([OLD], "oms", NOW + ms).open("REQ", sealed);
  expect([at(WINDOW_MS), at(-WINDOW_MS)]).toEqual([data, data]);
  expect([at(WINDOW_MS + 1), at(-WINDOW_MS - 1)]).toEqual(["time", "time"]);
  expect(sealOf().open("REQ", sealOf([OLD], "oms", Number.NaN).seal("REQ", data))).toBe("time");
});

test("a secret is changed in three steps, and nodes of neighbouring steps understand each other", () => {
  const steps = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]];
  for (const [index, step] of steps.entries()) {
    for (const other of steps.slice(Math.max(0, index - 1), index + 2)) {
      expect(sealOf(other).open("REQ", sealOf(step).seal("REQ", data))).toEqual(data);
    }
  }
  expect(sealOf([NEW]).open("REQ", sealOf([OLD]).seal("REQ", data))).toBe("seal");
});
