import { isIP } from "node:net";

/** Kinds of settings: how each is read from the environment, and what is said of a text that is none. */

export interface Setting<Value> {
  readonly read: (text: string) => Value | undefined;
  readonly expected: string;
  readonly fallback: Value;
  readonly about: string;
  /** It may also stand in a file that <name>_FILE names, and is never repeated in a message. */
  readonly secret?: true;
}

export const define = <Value>(setting: Setting<Value>) => setting;

export const text = (fallback: string, about: string) =>
  define<string>({ read: (given) => given, expected: "a text", fallback, about });

export const optional = (about: string) =>
  define<string | undefined>({ read: (given) => given, expected: "a text", fallback: undefined, about });

export const integer = (fallback: number, min: number, max: number, about: string) =>
  define<number>({
    read: (given) =>
      /^\d+$/.test(given) && Number(given) >= min && Number(given) <= max ? Number(given) : undefined,
    expected: `a whole number from ${min} to ${max}`,
    fallback,
    about,
  });

/** A share, from none to all. */
export const ratio = (fallback: number, about: string) =>
  define<number>({
    read: (given) => (/^(0(\.\d{1,9})?|1(\.0+)?|\.\d{1,9})$/.test(given) ? Number(given) : undefined),
    expected: "a number from 0 to 1",
    fallback,
    about,
  });

export const port = (fallback: number, about: string) =>
  define<number | "auto">({
    read: (given) => {
      if (given === "auto" || given === "0") return "auto";
      return /^\d{1,5}$/.test(given) && Number(given) <= 65_535 ? Number(given) : undefined;
    },
    expected: "a port number, 0 or auto",
    fallback,
    about,
  });

export const flag = (fallback: boolean, about: string) =>
  define<boolean>({
    read: (given) => ({ true: true, "1": true, false: false, "0": false })[given],
    expected: "true or false",
    fallback,
    about,
  });

export const url = (schemes: readonly string[], about: string) =>
  define<string | undefined>({
    read: (given) => {
      const parsed = URL.canParse(given) ? new URL(given) : undefined;
      return parsed && schemes.includes(parsed.protocol.slice(0, -1)) ? given : undefined;
    },
    expected: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    fallback: undefined,
    about,
  });

/** Servers of one cluster, comma-separated, all of one scheme: a client is either encrypted or not. */
export const urls = (schemes: readonly string[], about: string) =>
  define<string | undefined>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      const scheme = schemes.find((one) => found[0]?.startsWith(`${one}://`));
      const fits = (one: string) => URL.canParse(one) && new URL(one).protocol === `${scheme}:`;
      return scheme !== undefined && found.every(fits) ? found.join(",") : undefined;
    },
    expected: `a comma-separated list of URLs that all begin with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    fallback: undefined,
    about,
  });

/** Origins of pages, as browsers send them: exact, and no wildcard. */
export const origins = (about: string) =>
  define<readonly string[]>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      const isOrigin = (one: string) => URL.canParse(one) && new URL(one).origin === one;
      return found.every(isOrigin) ? found : undefined;
    },
    expected: "a comma-separated list of origins such as https://shop.example",
    fallback: [],
    about,
  });

/** Networks as in 10.0.0.0/8, comma-separated; a lone address is a network of one. */
export const networks = (about: string) =>
  define<readonly string[]>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      return found.every(isNetwork) ? found : undefined;
    },
    expected: "a comma-separated list of networks such as 10.0.0.0/8",
    fallback: [],
    about,
  });

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    bits > 0 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}

export const brokers = (about: string) =>
  define<string | undefined>({
    read: (given) => (/^[\w.-]+:\d{1,5}( *, *[\w.-]+:\d{1,5})*$/.test(given) ? given : undefined),
    expected: "a comma-separated list of host:port",
    fallback: undefined,
    about,
  });

export const choice = <const Choices extends readonly string[]>(
  choices: Choices,
  fallback: Choices[number],
  about: string,
) =>
  define<Choices[number]>({
    read: (given) => choices.find((one) => one === given),
    expected: `one of ${choices.join(", ")}`,
    fallback,
    about,
  });

export const list = <const Choices extends readonly string[]>(choices: Choices, about: string) =>
  define<readonly Choices[number][]>({
    read: (given) => {
      const names = given.split(",").map((name) => name.trim());
      const found = names.flatMap((name) => choices.find((one) => one === name) ?? []);
      return found.length === names.length ? found : undefined;
    },
    expected: `a comma-separated list of ${choices.join(", ")}`,
    fallback: choices,
    about,
  });

export const secret = <Value>(setting: Setting<Value>): Setting<Value> => ({ ...setting, secret: true });

const SECRET_LENGTH_MIN = 32;

export const secrets = (about: string) =>
  secret<readonly string[] | undefined>({
    read: (given) => {
      const found = given.split(",").map((one) => one.trim());
      return found.every((one) => one.length >= SECRET_LENGTH_MIN) ? found : undefined;
    },
    expected: `a comma-separated list of secrets of at least ${SECRET_LENGTH_MIN} characters`,
    fallback: undefined,
    about,
  });
