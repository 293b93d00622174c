import { unlinkSync } from "node:fs";
import { exportJWK, exportSPKI, generateKeyPair, importJWK, SignJWT } from "jose";
import { createVerifier, type Verifier } from "../../services/gateway/auth.ts";
import { openKeys } from "../../services/gateway/keys.ts";
import { AUDIENCE, CUSTOMER, ISSUER, makeKey, type TestKey, writeKeys } from "../support/tokens.ts";

/** The ways in which tokens are forged (RFC 8725), each of which must end in 401. */

let key: TestKey;
let second: TestKey;
let verify: Verifier;

const options = { issuer: ISSUER, audience: AUDIENCE, skewSeconds: 5, isRevoked: () => false };
const verifierOf = async (...keys: object[]) =>
  createVerifier({ keys: await openKeys(writeKeys(keys)), ...options });
const principalOf = async (token: string) => verify(`Bearer ${token}`);
const refused = { code: 401, type: "UNAUTHENTICATED" };
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

beforeAll(async () => {
  key = await makeKey("key-1");
  second = await makeKey("key-2", "ES256");
  verify = await verifierOf(key.jwk, second.jwk);
});

test("a good token names its subject and its roles", async () => {
  const token = await key.sign({ roles: ["customer", "staff", "root"] });
  expect(await principalOf(token)).toEqual({ subject: CUSTOMER, roles: ["customer", "staff"] });
});

test("a clock that is off by less than the skew is forgiven, either way", async () => {
  expect(await principalOf(await key.sign({ notBefore: 3 }))).toMatchObject({ subject: CUSTOMER });
  expect(await principalOf(await key.sign({ expiresIn: -3 }))).toMatchObject({ subject: CUSTOMER });
});

test("a token without roles has none", async () => {
  expect(await principalOf(await key.sign({ roles: [] }))).toEqual({
    subject: CUSTOMER,
    roles: [],
  });
});

test("a token of the second key holds as well: keys rotate", async () => {
  expect((await principalOf(await second.sign())).subject).toBe(CUSTOMER);
});

test("RS256 is taken from an RSA key", async () => {
  const rsa = await makeKey("rsa", "RS256");
  verify = await verifierOf(key.jwk, second.jwk, rsa.jwk);
  expect((await principalOf(await rsa.sign())).subject).toBe(CUSTOMER);
});

test.each([
  ["has expired", { expiresIn: -10 }],
  ["never expires", { expiresIn: null }],
  ["is not valid yet", { notBefore: 60 }],
  ["has a version that is no number", { ver: "1" }],
  ["has another issuer", { iss: "someone-else" }],
  ["is for another audience", { aud: "another-api" }],
  ["has a subject that is no id", { sub: "a b" }],
  ["has an endless subject", { sub: "a".repeat(65) }],
])("a token that %s is refused", async (_what, claims) => {
  await expect(principalOf(await key.sign(claims))).rejects.toMatchObject(refused);
});

test("a token without a subject is refused", async () => {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const verifier = await verifierOf({ ...(await exportJWK(publicKey)), kid: "k", alg: "EdDSA" });
  const token = await new SignJWT({ roles: ["customer"] })
    .setProtectedHeader({ alg: "EdDSA", kid: "k" })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime("5m")
    .sign(privateKey);
  await expect((async () => verifier(`Bearer ${token}`))()).rejects.toMatchObject(refused);
});

test("a token of a foreign key under a known key id is refused", async () => {
  const foreign = await makeKey("key-1");
  await expect(principalOf(await foreign.sign())).rejects.toMatchObject(refused);
});

test("a token of an unknown key id is refused", async () => {
  const foreign = await makeKey("key-9");
  await expect(principalOf(await foreign.sign())).rejects.toMatchObject(refused);
});

test("HS256 with the public key as its secret is refused", async () => {
  const rsa = await makeKey("rsa", "RS256");
  verify = await verifierOf(key.jwk, second.jwk, rsa.jwk);
  const imported = await importJWK(rsa.jwk, "RS256", { extractable: true });
  if (imported instanceof Uint8Array) throw new Error("not an asymmetric key");
  const secrets = [await exportSPKI(imported), JSON.stringify(rsa.jwk), rsa.jwk.n ?? ""];
  for (const secret of secrets) {
    const forged = await new SignJWT({ roles: ["operator"] })
      .setProtectedHeader({ alg: "HS256", kid: "rsa" })
      .setSubject(CUSTOMER)
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setExpirationTime("5m")
      .sign(new TextEncoder().encode(secret));
    await expect(principalOf(forged)).rejects.toMatchObject(refused);
  }
});

test.each(["none", "None", "nOnE"])("alg %s is refused", async (alg) => {
  const claims = {
    sub: CUSTOMER,
    roles: ["operator"],
    iss: ISSUER,
    aud: AUDIENCE,
    exp: Date.now() / 1_000 + 300,
  };
  for (const signature of ["", "AAAA"]) {
    const forged = `${encode({ alg, kid: "key-1" })}.${encode(claims)}.${signature}`;
    await expect(principalOf(forged)).rejects.toMatchObject(refused);
  }
});

test("an algorithm that does not fit the key's type is refused", async () => {
  const [, claims, signature] = (await key.sign()).split(".");
  await expect(
    principalOf(`${encode({ alg: "ES256", kid: "key-1" })}.${claims}.${signature}`),
  ).rejects.toMatchObject(refused);
  await expect(
    principalOf(`${encode({ alg: "PS256", kid: "key-1" })}.${claims}.${signature}`),
  ).rejects.toMatchObject(refused);
});

test("a key that the token itself brings along is not looked at", async () => {
  const foreign = await makeKey("mine");
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const forged = await new SignJWT({ roles: ["operator"] })
    .setProtectedHeader({
      alg: "EdDSA",
      kid: foreign.jwk.kid,
      jwk: await exportJWK(publicKey),
      jku: "https://localhost/jwks",
    })
    .setSubject(CUSTOMER)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime("5m")
    .sign(privateKey);
  await expect(principalOf(forged)).rejects.toMatchObject(refused);
});

test("changed claims under an old signature are refused", async () => {
  const [head, , signature] = (await key.sign()).split(".");
  const claims = encode({
    sub: CUSTOMER,
    roles: ["operator"],
    iss: ISSUER,
    aud: AUDIENCE,
    exp: Date.now() / 1_000 + 300,
  });
  await expect(principalOf(`${head}.${claims}.${signature}`)).rejects.toMatchObject(refused);
});

test.each([undefined, "", "Bearer", "Bearer a.b", "Basic dXNlcjpwYXNz", "Bearer a.b.c d", "Bearer ..."])(
  "authorization %p is refused",
  async (authorization) => {
    await expect((async () => verify(authorization))()).rejects.toMatchObject(refused);
  },
);

describe("a revoked token", () => {
  test("is refused, also when it was found good before; a newer one of the subject is taken", async () => {
    let least = 0;
    const isRevoked = (subject: string, version: number) => subject === CUSTOMER && version < least;
    const keys = await openKeys(writeKeys([key.jwk]));
    const checking = createVerifier({ keys, ...options, isRevoked });
    const [old, recent] = [await key.sign(), await key.sign({ ver: 1 })];
    expect((await checking(`Bearer ${old}`)).subject).toBe(CUSTOMER);
    least = 1;
    for (const token of [old, await key.sign({ expiresIn: 500 })]) {
      await expect((async () => checking(`Bearer ${token}`))()).rejects.toMatchObject({
        ...refused,
        message: "The token has been revoked.",
      });
    }
    expect((await checking(`Bearer ${recent}`)).subject).toBe(CUSTOMER);
  });
});

describe("the cache of good tokens", () => {
  test("answers at once the second time, and not past the expiry", async () => {
    const token = `Bearer ${await key.sign({ expiresIn: 2 })}`;
    const first = verify(token);
    expect(first).toBeInstanceOf(Promise);
    const principal = await first;
    expect(verify(token)).toBe(principal);
    const now = Date.now();
    const clock = jest.spyOn(Date, "now").mockImplementation(() => now + 61_000);
    // jose has a clock of its own; that the signature is looked at again is what matters here.
    expect(verify(token)).toBeInstanceOf(Promise);
    clock.mockRestore();
  });

  test("holds no more than its limit, and drops the longest unused", async () => {
    const keys = await openKeys(writeKeys([key.jwk]));
    const small = createVerifier({ keys, ...options, cacheSizeMax: 2 });
    const [a, b, c] = await Promise.all(
      [1, 2, 3].map(async (one) => `Bearer ${await key.sign({ expiresIn: 60 + one })}`),
    );
    await small(a);
    await small(b);
    await small(a);
    await small(c);
    expect(small(a)).not.toBeInstanceOf(Promise);
    expect(small(c)).not.toBeInstanceOf(Promise);
    expect(small(b)).toBeInstanceOf(Promise);
    await small(b);
  });

  test("does not remember a bad token", async () => {
    const token = await key.sign({ aud: "another-api" });
    await expect(principalOf(token)).rejects.toMatchObject(refused);
    await expect(principalOf(token)).rejects.toMatchObject(refused);
  });
});

describe("the key set", () => {
  const setting = { type: "CONFIG_INVALID", setting: "JWT_KEYS" };

  test("is required", async () => {
    await expect(openKeys(undefined)).rejects.toMatchObject(setting);
  });

  test.each([
    ["holds none", []],
    ["holds a private key", [{ kty: "OKP", crv: "Ed25519", x: "AA", d: "AA" }]],
    ["holds a shared secret", [{ kty: "oct", k: "AA" }]],
  ])("is refused when it %s", async (_what, keys) => {
    await expect(openKeys(writeKeys(keys))).rejects.toMatchObject(setting);
  });

  test("is refused when it cannot be read, or comes over plain http", async () => {
    await expect(openKeys("/nowhere/jwks.json")).rejects.toMatchObject(setting);
    await expect(openKeys("http://localhost/jwks.json")).rejects.toMatchObject(setting);
    await expect(openKeys("https://127.0.0.1:1/jwks.json")).rejects.toMatchObject(setting);
  });

  test("takes on a key that was added to the file, and outlives the file", async () => {
    const file = writeKeys([key.jwk]);
    const verifier = createVerifier({ keys: await openKeys(file), ...options });
    const token = `Bearer ${await second.sign()}`;
    await expect((async () => verifier(token))()).rejects.toMatchObject(refused);
    writeKeys([key.jwk, second.jwk], file);
    const clock = jest.spyOn(performance, "now").mockReturnValue(performance.now() + 2_000);
    expect((await verifier(token)).subject).toBe(CUSTOMER);
    unlinkSync(file);
    clock.mockReturnValue(performance.now() + 60_000);
    expect((await verifier(`Bearer ${await key.sign()}`)).subject).toBe(CUSTOMER);
    clock.mockRestore();
  });
});
