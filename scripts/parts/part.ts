/** What every started server has in common, whichever program it is and however it was found. */
export interface Part {
  readonly name: string;
  /** The server's process id; 0 when the server was given to us and is not ours to stop. */
  readonly pid: number;
  readonly url: string;
  /** Idempotent and graceful; resolves when the process is really gone. */
  stop(): Promise<void>;
}

/** A part that we run ourselves, so that tests can take it away and bring it back. */
export interface OwnPart extends Part {
  /** Ends the server without warning, as a power cut would; resolves when it is gone. */
  kill(signal: "SIGKILL"): Promise<void>;
  /** Starts it again on the same port and data, stopping it first when it still runs. */
  restart(): Promise<void>;
}

/**
 * Who the part belongs to. "process": a watchdog stops it when our process ends, whatever way that happens.
 * "none": it stays until somebody calls stop().
 */
export type OwnedBy = "process" | "none";

export type Progress = (line: string) => void;

/** This machine lacks what the part needs; the message says what, so that a suite can skip by name. */
export class PartUnavailableError extends Error {
  override readonly name = "PartUnavailableError";
  readonly part: string;

  constructor(part: string, reason: string, options?: ErrorOptions) {
    super(`${part}: ${reason}`, options);
    this.part = part;
  }
}

/** Everything needed was there, and the part still did not start or stop. */
export class PartFailedError extends Error {
  override readonly name = "PartFailedError";
  readonly part: string;

  constructor(part: string, reason: string, options?: ErrorOptions) {
    super(`${part}: ${reason}`, options);
    this.part = part;
  }
}

/** A living process holds the part's data folder in a way that does not fit what was asked for. */
export class PartInUseError extends Error {
  override readonly name = "PartInUseError";
  readonly part: string;
  readonly ownerPid: number;

  constructor(part: string, ownerPid: number, reason: string) {
    super(`${part}: ${reason}`);
    this.part = part;
    this.ownerPid = ownerPid;
  }
}
