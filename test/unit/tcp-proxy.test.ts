import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { kafkaAddresses, startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

/** A server that sends back what it gets. */
let server: Server;
let served: Socket[];
let proxy: TcpProxy;
let clients: Socket[];

beforeEach(async () => {
  [served, clients] = [[], []];
  server = createServer((socket) => {
    served.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (data) => socket.write(data));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the server has no port");
  proxy = await startTcpProxy({ target: { host: "127.0.0.1", port: address.port } });
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy.close();
  for (const socket of served) socket.destroy();
  server.close();
});

interface Client {
  readonly socket: Socket;
  received(): string;
  error(): string | undefined;
}

async function open(): Promise<Client> {
  const socket = connect({ host: "127.0.0.1", port: proxy.port });
  clients.push(socket);
  let [received, error]: [string, string | undefined] = ["", undefined];
  socket.on("data", (data) => {
    received += data.toString();
  });
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code;
  });
  await once(socket, "connect");
  return { socket, received: () => received, error: () => error };
}

const gets = (client: Client, text: string) => until(`"${text}" comes`, () => client.received() === text);

/** What went before it has come: then nothing is under way any more. */
async function greeted(): Promise<Client> {
  const client = await open();
  client.socket.write("hello");
  await gets(client, "hello");
  return client;
}

test("a good line lets through what comes, either way", async () => {
  const client = await greeted();
  client.socket.write(", you");
  await gets(client, "hello, you");
  expect(proxy.connections).toBe(1);
});

test("a delayed or slow line lets it through later, in its order", async () => {
  const client = await greeted();
  for (const state of [
    { kind: "delayed", ms: 100 },
    { kind: "slow", bytesPerSecond: 20 },
  ] as const) {
    proxy.become(state);
    const startedAt = performance.now();
    const before = client.received();
    client.socket.write("12");
    client.socket.write("34");
    await gets(client, `${before}1234`);
    // Twice: there and back.
    expect(performance.now() - startedAt).toBeGreaterThan(190);
  }
});

test("what went into a black hole arrives when the line is good again", async () => {
  const client = await greeted();
  proxy.become({ kind: "blackhole" });
  client.socket.write("!");
  const other = await open();
  other.socket.write("anybody?");
  await until("both have been taken", () => proxy.connections === 2);
  expect([client.received(), other.received()]).toEqual(["hello", ""]);
  proxy.become({ kind: "good" });
  await gets(client, "hello!");
  await gets(other, "anybody?");
});

test("a refusing line cuts what is there and what comes; a reset only what is there", async () => {
  const client = await greeted();
  proxy.reset();
  await until("it is cut", () => client.error() === "ECONNRESET");
  const next = await greeted();
  proxy.become({ kind: "refusing" });
  await until("it is cut", () => next.error() === "ECONNRESET");
  // Cut before it knows that it is connected, or just after.
  const refused = await open().catch((error: NodeJS.ErrnoException) => ({ error: () => error.code }));
  await until("it is cut too", () => refused.error() === "ECONNRESET");
});

test("a half-open connection swallows what is sent until it is mended; the server has seen its end", async () => {
  const client = await greeted();
  const mend = proxy.halfOpen();
  await until("the server sees it end", () => served[0]?.destroyed === true);
  client.socket.write("?");
  await greeted();
  expect([client.received(), client.error()]).toEqual(["hello", undefined]);
  mend();
  await until("it is cut", () => client.error() === "ECONNRESET");
});

test("answers are lost: what was asked has arrived, and nobody says so", async () => {
  const client = await greeted();
  let arrived = "";
  served[0]?.on("data", (data) => {
    arrived += data.toString();
  });
  proxy.loseAnswers(200);
  client.socket.write("pay");
  await until("it has arrived", () => arrived === "pay");
  await until("it is cut", () => client.error() === "ECONNRESET");
  expect(client.received()).toBe("hello");
});

test("a broker's address is the proxy's, wherever it is cut into pieces, and in no message", () => {
  const rewrite = kafkaAddresses(9_092, 20_001)();
  const told = (port: number) =>
    Buffer.concat([Buffer.from("..127.0.0.1"), Buffer.from([0, 0, port >> 8, port & 255])]);
  const framed = (body: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length);
    return Buffer.concat([length, body]);
  };
  const large = Buffer.concat([Buffer.alloc(20_000), told(9_092)]);
  const sent = Buffer.concat([framed(told(9_092)), framed(told(9_093)), framed(large)]);
  const pieces = [sent.subarray(0, 3), sent.subarray(3, 16), sent.subarray(16, 30), sent.subarray(30)];
  const got = Buffer.concat(pieces.map(rewrite));
  expect(got.equals(Buffer.concat([framed(told(20_001)), framed(told(9_093)), framed(large)]))).toBe(true);
});
