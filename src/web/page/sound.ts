/**
 * Sound in the page: packets from the machine (see vm/sound-ring.ts) into audio graphs, one for each source, that run at the
 * source's rate, so that nothing is converted on the way. Another rate makes another graph.
 */

/** Packets that wait for a graph; older ones are lost. */
const MAX_WAITING = 32;
const RECONNECT_MS = 1500;

class Graph {
  readonly #context: AudioContext;
  #node: AudioWorkletNode | undefined;
  readonly #waiting: Int16Array[] = [];
  #isClosed = false;
  /** Seconds that lie in the player, as of the last second. */
  #bufferedSeconds = 0;

  constructor(rateHz: number) {
    this.#context = new AudioContext({ sampleRate: rateHz, latencyHint: "interactive" });
    void this.#open();
  }

  get rateHz(): number {
    return this.#context.sampleRate;
  }
  get delaySeconds(): number {
    return this.#bufferedSeconds + this.#context.baseLatency + this.#context.outputLatency;
  }

  play(samples: Int16Array): void {
    if (this.#node) this.#node.port.postMessage(samples, [samples.buffer]);
    else if (this.#waiting.push(samples) > MAX_WAITING) this.#waiting.shift();
  }

  close(): void {
    this.#isClosed = true;
    void this.#context.close();
  }

  async #open(): Promise<void> {
    await this.#context.audioWorklet.addModule("player.js");
    if (this.#isClosed) return;
    const node = new AudioWorkletNode(this.#context, "player", { numberOfInputs: 0, outputChannelCount: [2] });
    node.port.onmessage = ({ data }: MessageEvent<number>) => {
      this.#bufferedSeconds = data;
    };
    node.connect(this.#context.destination);
    this.#node = node;
    for (const samples of this.#waiting.splice(0)) this.play(samples);
  }
}

export class Sound {
  readonly #address: string;
  readonly #graphs = new Map<number, Graph>();
  #socket: WebSocket | undefined;

  constructor(address: string) {
    this.#address = address;
  }

  get isOn(): boolean {
    return this.#socket !== undefined;
  }
  /** Seconds from here to the ear, as the browser knows them, and what lies in the player. */
  get delaySeconds(): number {
    return Math.max(0, ...[...this.#graphs.values()].map((graph) => graph.delaySeconds));
  }

  /** From a click: browsers want one. A graph is made when the guest plays something. */
  start(): void {
    const socket = new WebSocket(this.#address);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const head = new DataView(data).getUint32(0, true);
      const [source, rateHz] = [head >>> 24, head & 0xff_ffff];
      let graph = this.#graphs.get(source);
      if (graph?.rateHz !== rateHz) {
        graph?.close();
        graph = new Graph(rateHz);
        this.#graphs.set(source, graph);
      }
      graph.play(new Int16Array(data.slice(4)));
    };
    // The machine was switched off; its sound comes back with it.
    socket.onclose = () => {
      if (this.#socket === socket) setTimeout(() => this.#socket === socket && this.start(), RECONNECT_MS);
    };
    this.#socket = socket;
  }

  stop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    for (const graph of this.#graphs.values()) graph.close();
    this.#graphs.clear();
  }
}
