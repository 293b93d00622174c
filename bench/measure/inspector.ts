/** The part of a CPU profile that we read; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

export interface Inspector {
  startProfile(): Promise<void>;
  stopProfile(): Promise<CpuProfile>;
  startAllocations(): Promise<void>;
  /** Bytes allocated since, by a sample of them: what has been collected meanwhile counts too. */
  stopAllocations(): Promise<number>;
  close(): void;
}

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** Short enough for functions of some microseconds to show over ten seconds, long enough not to be the load itself. */
const SAMPLE_EVERY_US = 500;
/** Some ten samples an order: over hundreds of orders that is exact to two per cent. */
const SAMPLE_EVERY_BYTES = 32_768;

interface AllocationNode {
  readonly selfSize: number;
  readonly children: readonly AllocationNode[];
}

function bytesIn({ selfSize, children }: AllocationNode): number {
  return children.reduce((sum, child) => sum + bytesIn(child), selfSize);
}

/** Speaks with a process that was started with --inspect. */
export async function openInspector(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`no inspector at ${url}`));
  });
  const waiting = new Map<number, (reply: Reply) => void>();
  socket.onmessage = ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
  };
  let asked = 0;
  const ask = (method: string, params: object = {}) =>
    new Promise<unknown>((resolve, reject) => {
      asked += 1;
      waiting.set(asked, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result)));
      socket.send(JSON.stringify({ id: asked, method, params }));
    });
  await ask("Profiler.enable");
  await ask("Profiler.setSamplingInterval", { interval: SAMPLE_EVERY_US });
  return {
    startProfile: async () => void (await ask("Profiler.start")),
    stopProfile: async () => ((await ask("Profiler.stop")) as { profile: CpuProfile }).profile,
    startAllocations: async () =>
      void (await ask("HeapProfiler.startSampling", {
        samplingInterval: SAMPLE_EVERY_BYTES,
        includeObjectsCollectedByMajorGC: true,
        includeObjectsCollectedByMinorGC: true,
      })),
    async stopAllocations() {
      const { profile } = (await ask("HeapProfiler.stopSampling")) as { profile: { head: AllocationNode } };
      return bytesIn(profile.head);
    },
    close: () => socket.close(),
  };
}
