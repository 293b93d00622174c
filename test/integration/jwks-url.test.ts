import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createVerifier } from "../../services/gateway/auth.ts";
import { openKeys } from "../../services/gateway/keys.ts";
import { createAuthority } from "../support/certificates.ts";
import { AUDIENCE, CUSTOMER, ISSUER, makeKey, type TestKey } from "../support/tokens.ts";

/** Keys from an https URL: rotation, removal, and an outage of the server that has them. */

const authority = createAuthority();
const trusted = getCACertificates("default");
let server: Server;
let url: string;
/** What the server has; undefined: it fails. */
let published: readonly TestKey[] | undefined;
let asked = 0;
let [first, second]: TestKey[] = [];

beforeAll(async () => {
  [first, second] = [await makeKey("key-1"), await makeKey("key-2", "ES256")];
  server = createServer(authority.issue({ name: "keys", hosts: ["localhost"] }), (_request, response) => {
    asked += 1;
    response.statusCode = published === undefined ? 500 : 200;
    response.end(JSON.stringify({ keys: published?.map(({ jwk }) => jwk) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  url = `https://localhost:${(server.address() as AddressInfo).port}/jwks.json`;
  setDefaultCACertificates([...trusted, authority.cert]);
});

afterEach(() => jest.restoreAllMocks());
afterAll(() => {
  setDefaultCACertificates(trusted);
  server.close();
  server.closeAllConnections();
});

async function open(...keys: TestKey[]) {
  published = keys;
  const options = { issuer: ISSUER, audience: AUDIENCE, skewSeconds: 5, isRevoked: () => false };
  const verify = createVerifier({ keys: await openKeys(url), ...options });
  asked = 0;
  // A new token each time: one that was found good is not looked at again for a minute.
  let expiresIn = 600;
  return async (key: TestKey | undefined) => {
    expiresIn += 1;
    return verify(`Bearer ${await key?.sign({ expiresIn })}`);
  };
}

/** Both clocks: ours, and jose's. */
function later(ms: number): void {
  const [monotonic, wall] = [performance.now(), Date.now()];
  jest.spyOn(performance, "now").mockImplementation(() => monotonic + ms);
  jest.spyOn(Date, "now").mockImplementation(() => wall + ms);
}

const refused = { type: "UNAUTHENTICATED" };
const good = { subject: CUSTOMER };

test("two keys live side by side, and one that is added is found when its first token comes", async () => {
  const check = await open(first as TestKey);
  await expect(check(second)).rejects.toMatchObject(refused);
  published = [first as TestKey, second as TestKey];
  // Bad tokens do not have the server asked each time.
  await expect(check(second)).rejects.toMatchObject(refused);
  expect(asked).toBe(0);
  later(31_000);
  await expect(check(second)).resolves.toMatchObject(good);
  await expect(check(first)).resolves.toMatchObject(good);
  expect(asked).toBe(1);
});

test("a key that was removed opens nothing five minutes later, for nobody who comes at once either", async () => {
  const check = await open(first as TestKey, second as TestKey);
  await expect(check(first)).resolves.toMatchObject(good);
  published = [second as TestKey];
  later(301_000);
  const answers = await Promise.allSettled([check(first), check(first), check(second)]);
  expect(answers.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
  expect(asked).toBe(1);
});

test("an outage of the server leaves us with its keys for a day", async () => {
  const check = await open(first as TestKey);
  published = undefined;
  later(3_600_000);
  await expect(check(first)).resolves.toMatchObject(good);
  expect(asked).toBe(1);
  later(25 * 3_600_000);
  await expect(check(first)).rejects.toMatchObject({ type: "KEYS_UNAVAILABLE", code: 503 });
});

test("a server whose certificate nobody vouches for is no source of keys", async () => {
  const stranger = createServer(createAuthority("stranger").issue({ name: "keys", hosts: ["localhost"] }));
  await new Promise<void>((resolve) => stranger.listen(0, "localhost", resolve));
  const { port } = stranger.address() as AddressInfo;
  await expect(openKeys(`https://localhost:${port}/`)).rejects.toMatchObject({ setting: "JWT_KEYS" });
  stranger.close();
});
