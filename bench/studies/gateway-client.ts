import { HttpConnection } from "../load/http-client.ts";

/** The client of bench/studies/gateway.ts: asks as often as it can, and tells how often that was. */

export interface Ask {
  readonly url: string;
  /** Asked for in turn. */
  readonly paths: readonly string[];
  readonly token: string;
  readonly concurrency: number;
  readonly seconds: number;
}

export interface Answered {
  readonly answers: number;
  readonly elapsedMs: number;
}

process.on("message", (ask: Ask) => {
  askOften(ask).then(
    (answered) => process.send?.(answered),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));

async function askOften({ url, paths, token, concurrency, seconds }: Ask): Promise<Answered> {
  const { hostname, port } = new URL(url);
  const questionOf = (path: string) =>
    `GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const questions = paths.map(questionOf);
  const from = performance.now();
  const until = from + seconds * 1_000;
  let answers = 0;
  const loop = async () => {
    const connection = new HttpConnection(hostname, Number(port));
    while (performance.now() < until) {
      const { status, body } = await connection.send(questions[answers % questions.length] ?? "");
      if (status !== 200) throw new Error(`${status} ${body.slice(0, 200)}`);
      answers += 1;
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return { answers, elapsedMs: performance.now() - from };
}
