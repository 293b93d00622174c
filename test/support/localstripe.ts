import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { draftBeside } from "../../scripts/parts/draft.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { findOnPath, lastLine, run } from "../../scripts/parts/process.ts";
import { until } from "./until.ts";

/** Stripe as others wrote it: localstripe from PyPI, a process of its own, put into .stack/ by whoever needs it. */

const VERSION = "1.15.10";
const folder = join(__dirname, "..", "..", ".stack", `localstripe-${VERSION}`);

// By itself it listens on every address and outlives us; the pipe ends when we do, however that is.
const PROGRAM = `
import os, socket, sys, threading
bind = socket.socket.bind
def loopback(self, address):
    host = "::1" if self.family == socket.AF_INET6 else "127.0.0.1"
    return bind(self, (host,) + tuple(address[1:]))
socket.socket.bind = loopback
def watch():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from localstripe.server import start
start()
`;

export interface LocalStripe {
  readonly url: string;
  stop(): void;
}

/** What this machine lacks for it; undefined when it can run. */
export async function provisionLocalStripe(): Promise<string | undefined> {
  const python = findOnPath("python3");
  if (python === undefined) return "python3 (not found on PATH)";
  if (existsSync(folder)) return undefined;
  const draft = draftBeside(folder);
  mkdirSync(draft, { recursive: true });
  const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", draft];
  const installed = await run(python, [...args, `localstripe==${VERSION}`], { timeoutMs: 180_000 });
  if (installed.code === 0) renameSync(draft, folder);
  else rmSync(draft, { recursive: true, force: true });
  return installed.code === 0 ? undefined : `localstripe (pip: ${lastLine(installed.output, /error/i)})`;
}

export async function startLocalStripe(): Promise<LocalStripe> {
  const port = await freePort();
  const child: ChildProcess = spawn("python3", ["-c", PROGRAM, "--from-scratch", "--port", String(port)], {
    stdio: ["pipe", "ignore", "ignore"],
    env: { ...process.env, PYTHONPATH: folder },
  });
  const urls = [`http://127.0.0.1:${port}`, `http://[::1]:${port}`];
  const url = await until("localstripe answers", async () => {
    if (child.exitCode !== null) throw new Error(`localstripe ended with code ${child.exitCode}`);
    const answers = await Promise.allSettled(urls.map((one) => fetch(`${one}/v1/customers`)));
    return urls[answers.findIndex(({ status }) => status === "fulfilled")];
  });
  return { url, stop: () => void child.stdin?.end() };
}
