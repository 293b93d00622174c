import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";

/** Certificates for servers and clients of tests, made on the spot (X.509 v3, ECDSA on P-256). */

/** PEM, both. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly name: string;
  /** Host names and IPv4 addresses that it is for. */
  readonly hosts?: readonly string[];
  /** Until when it is valid, in hours from now; negative: it has expired. */
  readonly hours?: number;
}

export interface Authority {
  /** PEM. */
  readonly cert: string;
  issue(options: CertificateOptions): Certificate;
}

const HOUR_MS = 3_600_000;
const ECDSA_WITH_SHA256 = Buffer.from("300a06082a8648ce3d040302", "hex");
const COMMON_NAME = Buffer.from("0603550403", "hex");
// Both critical: it is an authority, and signs certificates.
const OF_AUTHORITY = [
  Buffer.from("300f0603551d130101ff040530030101ff", "hex"),
  Buffer.from("300e0603551d0f0101ff040403020204", "hex"),
];
const SUBJECT_ALT_NAME = Buffer.from("0603551d11", "hex");

/** A certificate authority that nobody trusts who was not told to. */
export function createAuthority(name = "Holdfast test authority"): Authority {
  const own = keyPair();
  const signer = { name, key: own.privateKey };
  return {
    cert: certificate({ name, signer, publicKey: own.publicKey, extensions: OF_AUTHORITY, hours: 24 }),
    issue({ name: subject, hosts = [], hours = 24 }) {
      const { publicKey, privateKey } = keyPair();
      const names = hosts.map((host) =>
        isIPv4(host) ? der(0x87, Buffer.from(host.split(".").map(Number))) : der(0x82, Buffer.from(host)),
      );
      const extensions =
        names.length === 0 ? [] : [der(0x30, SUBJECT_ALT_NAME, der(0x04, der(0x30, ...names)))];
      return {
        cert: certificate({ name: subject, signer, publicKey, extensions, hours }),
        key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

/** As PEM: keys generated as objects would be of jest's realm, which node:crypto refuses. */
function keyPair(): { publicKey: Buffer; privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { publicKey, privateKey: createPrivateKey(privateKey) };
}

interface Contents {
  readonly name: string;
  readonly signer: { readonly name: string; readonly key: KeyObject };
  readonly publicKey: Buffer;
  readonly extensions: readonly Buffer[];
  readonly hours: number;
}

function certificate({ name, signer, publicKey, extensions, hours }: Contents): string {
  const until = Date.now() + hours * HOUR_MS;
  const validity = der(0x30, utcTime(Math.min(Date.now(), until) - 24 * HOUR_MS), utcTime(until));
  const contents = der(
    0x30,
    Buffer.from("a003020102", "hex"),
    // Positive, whatever comes out.
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ECDSA_WITH_SHA256,
    distinguishedName(signer.name),
    validity,
    distinguishedName(name),
    publicKey,
    ...(extensions.length === 0 ? [] : [der(0xa3, der(0x30, ...extensions))]),
  );
  const signature = der(0x03, Buffer.from([0]), sign("sha256", contents, signer.key));
  const lines = der(0x30, contents, ECDSA_WITH_SHA256, signature)
    .toString("base64")
    .match(/.{1,64}/g);
  return `-----BEGIN CERTIFICATE-----\n${lines?.join("\n")}\n-----END CERTIFICATE-----\n`;
}

const distinguishedName = (name: string) =>
  der(0x30, der(0x31, der(0x30, COMMON_NAME, der(0x0c, Buffer.from(name)))));

const utcTime = (atMs: number) =>
  der(0x17, Buffer.from(`${new Date(atMs).toISOString().replace(/\D/g, "").slice(2, 14)}Z`));

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}
