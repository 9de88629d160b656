/**
 * Sound in the page: packets from the machine (see vm/sound-ring.ts) into an audio graph that runs at the card's rate, so that
 * nothing is converted on the way. Another rate makes another graph.
 */

/** Packets that wait for a graph; older ones are lost. */
const MAX_WAITING = 32;

export class Sound {
  readonly #address: string;
  #socket: WebSocket | undefined;
  #context: AudioContext | undefined;
  #node: AudioWorkletNode | undefined;
  #waiting: Int16Array[] = [];
  /** Seconds that lie in the player, as of the last second. */
  bufferedSeconds = 0;

  constructor(address: string) {
    this.#address = address;
  }

  get isOn(): boolean {
    return this.#socket !== undefined;
  }
  /** Seconds from here to the ear, as the browser knows them, and what lies in the player. */
  get delaySeconds(): number {
    const { baseLatency = 0, outputLatency = 0 } = this.#context ?? {};
    return this.bufferedSeconds + baseLatency + outputLatency;
  }

  /** From a click: browsers want one. The graph is made when the guest plays something. */
  start(): void {
    const socket = new WebSocket(this.#address);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const rateHz = new DataView(data).getUint32(0, true);
      this.#play(new Int16Array(data.slice(4)), rateHz);
    };
    // The machine was switched off; its sound comes back with it.
    socket.onclose = () => {
      if (this.#socket === socket) setTimeout(() => this.#socket === socket && this.start(), 1500);
    };
    this.#socket = socket;
  }

  stop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    this.#leave();
  }

  #leave(): void {
    void this.#context?.close();
    this.#context = undefined;
    this.#node = undefined;
    this.#waiting = [];
    this.bufferedSeconds = 0;
  }

  #play(samples: Int16Array, rateHz: number): void {
    if (this.#context?.sampleRate !== rateHz) {
      this.#leave();
      void this.#enter(rateHz);
    }
    if (this.#node) this.#node.port.postMessage(samples, [samples.buffer]);
    else if (this.#waiting.push(samples) > MAX_WAITING) this.#waiting.shift();
  }

  async #enter(rateHz: number): Promise<void> {
    const context = new AudioContext({ sampleRate: rateHz, latencyHint: "interactive" });
    this.#context = context;
    await context.audioWorklet.addModule("player.js");
    if (this.#context !== context) return;
    const node = new AudioWorkletNode(context, "player", { numberOfInputs: 0, outputChannelCount: [2] });
    node.port.onmessage = ({ data }: MessageEvent<number>) => {
      this.bufferedSeconds = data;
    };
    node.connect(context.destination);
    this.#node = node;
    for (const samples of this.#waiting.splice(0)) node.port.postMessage(samples, [samples.buffer]);
  }
}
