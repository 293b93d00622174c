/**
 * Packets to one node that leave in the same round of the event loop travel as one: a batch's calls and a batch's
 * answers are then sealed, sent, received and opened once, and arrive together, to be the next batch.
 *
 * A bundle is a zero byte, which no JSON begins with, and then each packet with its length before it (4 bytes, big endian).
 */
const MARK = 0;
const LENGTH_BYTES = 4;

export function bundle(packets: readonly Buffer[]): Buffer {
  const bytes = packets.reduce((sum, { length }) => sum + LENGTH_BYTES + length, 1);
  const whole = Buffer.allocUnsafe(bytes);
  let offset = whole.writeUInt8(MARK);
  for (const packet of packets) {
    offset = whole.writeUInt32BE(packet.length, offset);
    offset += packet.copy(whole, offset);
  }
  return whole;
}

/** The packets of a bundle; of what is none, itself. @throws RangeError it ends within a packet */
export function unbundled(data: Buffer): readonly Buffer[] {
  if (data[0] !== MARK) return [data];
  const packets: Buffer[] = [];
  let offset = 1;
  while (offset < data.length) {
    const begin = offset + LENGTH_BYTES;
    offset = begin <= data.length ? begin + data.readUInt32BE(offset) : begin;
    if (offset > data.length) throw new RangeError("a bundle of packets ends within one of them");
    packets.push(data.subarray(begin, offset));
  }
  return packets;
}

/** More than this in one bundle does not pay, and NATS takes 1 MB at most. */
const BYTES_MAX = 256 * 1_024;

interface Open<Meta> {
  readonly packets: Buffer[];
  readonly meta: Meta;
  readonly sent: PromiseWithResolvers<void>;
  bytes: number;
}

export type Send<Meta> = (topic: string, data: Buffer, meta: Meta) => unknown;

/**
 * Gathers for each topic what is sent in one round of the event loop. What is sent first in a round leaves as soon as the
 * running code has ended, for it may be alone: waiting for the round's end cost a lone call a tenth of its time. In a
 * topic packets keep their order.
 */
export class Bundler<Meta> {
  readonly #send: Send<Meta>;
  readonly #open = new Map<string, Open<Meta>>();
  #isRoundOpen = false;

  constructor(send: Send<Meta>) {
    this.#send = send;
  }

  /** Settles when it has been sent. */
  add(topic: string, packet: Buffer, meta: Meta): Promise<void> {
    const known = this.#open.get(topic);
    if (known && known.bytes + packet.length > BYTES_MAX) this.flush(topic);
    let open = this.#open.get(topic);
    if (open === undefined) {
      open = { packets: [], bytes: 0, meta, sent: Promise.withResolvers() };
      this.#open.set(topic, open);
      if (!this.#isRoundOpen) this.#beginRound();
    }
    open.packets.push(packet);
    open.bytes += packet.length;
    return open.sent.promise;
  }

  /** Sends at once what waits for this topic. */
  flush(topic: string): void {
    const open = this.#open.get(topic);
    if (open === undefined) return;
    this.#open.delete(topic);
    const { packets, meta, sent } = open;
    const [first] = packets;
    const whole = packets.length === 1 && first !== undefined ? first : bundle(packets);
    const sending = async () => void (await this.#send(topic, whole, meta));
    sending().then(sent.resolve, sent.reject);
  }

  #beginRound(): void {
    this.#isRoundOpen = true;
    process.nextTick(() => this.#flushAll());
    setImmediate(() => {
      this.#isRoundOpen = false;
      this.#flushAll();
    });
  }

  #flushAll(): void {
    for (const topic of [...this.#open.keys()]) this.flush(topic);
  }
}
