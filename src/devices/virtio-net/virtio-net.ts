/**
 * The virtio network device (Virtual I/O Device 1.2, section 5.1) with one queue pair and a control queue, legacy and modern.
 * Offered: checksums both ways, TCP segmentation from the guest, merged receive buffers, link status, receive filtering, VLAN
 * table, settable address. Not offered: receive segmentation offload, several queue pairs, announcement, MTU.
 */
import { MAX_FRAME_BYTES, type NetBackend } from "../../backend-api/net.ts";
import type { Clock, Timer } from "../../device-api/clock.ts";
import type { GuestMemory } from "../../device-api/guest-memory.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { HEADER_BYTES as ETHERNET_HEADER_BYTES } from "../../device-parts/ethernet.ts";
import { emptyChecksums, inspectChecksums } from "../../device-parts/internet-checksum.ts";
import { canSegment, writeSegment } from "../../device-parts/tcp-segmentation.ts";
import { F_VERSION_1, type VirtioDevice, type VirtioPciTransport } from "../../device-parts/virtio/pci-transport.ts";
import { Chain } from "../../device-parts/virtio/virtqueue.ts";
import { completeChecksum, readHeader, segmentChecksums, segmentLayout } from "./packet-header.ts";
import { ReceiveFilter } from "./receive-filter.ts";
import * as R from "./registers.ts";

const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
/** The longest packet before segmentation. */
const MAX_PACKET_BYTES = 0x12000;
const FRAME_BYTES = 0x4000;
const MAX_COMMAND_BYTES = 0x2000;
/** Frames, packets and commands in one go. */
const MAX_WORK = 512;
const PAUSE_NS = 100_000;

export interface VirtioNetOptions {
  readonly macAddress: Uint8Array;
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly backend: NetBackend | undefined;
  /** The transport that this device is behind; asked for after construction. */
  readonly transport: () => VirtioPciTransport;
}

export class VirtioNet implements VirtioDevice {
  readonly type = R.TYPE_NETWORK;
  readonly features = R.FEATURES;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE];
  readonly configBytes = R.CONFIG_BYTES;
  readonly #options: VirtioNetOptions;
  readonly #filter: ReceiveFilter;
  readonly #timer: Timer;
  readonly #chain = new Chain();
  readonly #header = new Uint8Array(R.HDR_BYTES);
  readonly #packet = new Uint8Array(MAX_PACKET_BYTES);
  readonly #frame = new Uint8Array(FRAME_BYTES);
  readonly #checksums = emptyChecksums();
  #hasCable = false;
  /** A received frame that waits for buffers; 0: none. */
  #waitingBytes = 0;
  #headerBytes = R.HDR_BYTES;
  /** Segments of the packet at the head of the transmit queue that have gone. */
  #sentSegments = 0;

  constructor(options: VirtioNetOptions) {
    this.#options = options;
    this.#filter = new ReceiveFilter(options.macAddress);
    this.#timer = options.clock.createTimer("virtio-net", () => this.hostEvent());
    options.backend?.onEvent(() => this.hostEvent());
  }

  reset(): void {
    this.#filter.reset();
    this.#waitingBytes = 0;
    this.#sentSegments = 0;
    this.#headerBytes = R.HDR_BYTES;
    this.#timer.cancel();
  }

  start(): void {
    const transport = this.#options.transport();
    const hasLongHeader = transport.hasFeature(F_VERSION_1) || transport.hasFeature(R.F_MRG_RXBUF);
    this.#headerBytes = hasLongHeader ? R.HDR_BYTES : R.HDR_BYTES_LEGACY;
    this.hostEvent();
  }

  setCableConnected(isConnected: boolean): void {
    this.#hasCable = isConnected;
    this.#options.transport().configChanged();
    this.hostEvent();
  }

  /** Frames have come, room has become free, or DMA is allowed now. */
  hostEvent(): void {
    this.#transmit();
    this.#receive();
  }

  readConfigByte(offset: number): number {
    if (offset < R.CONFIG_STATUS) return this.#filter.mac[offset];
    return offset === R.CONFIG_STATUS && this.#hasCable ? R.STATUS_LINK_UP : 0;
  }
  /** Legacy drivers set the address here. */
  writeConfigByte(offset: number, value: number): void {
    if (offset < R.CONFIG_STATUS && !this.#options.transport().hasFeature(F_VERSION_1))
      this.#filter.mac[offset] = value;
  }

  notified(queue: number): void {
    if (queue === R.RECEIVE) this.#receive();
    else if (queue === R.TRANSMIT) this.#transmit();
    else this.#control();
  }

  // --- guest to network ---

  #transmit(): void {
    const transport = this.#options.transport();
    if (!transport.canRun) return;
    const queue = transport.queues[R.TRANSMIT];
    const { memory } = this.#options;
    const chain = this.#chain;
    let done = 0;
    while (done < MAX_WORK && queue.peek(chain)) {
      const header = this.#header.subarray(0, this.#headerBytes);
      const length = chain.readableBytes - header.length;
      const packet = this.#packet.subarray(0, Math.max(0, Math.min(length, MAX_PACKET_BYTES)));
      if (chain.read(memory, 0, header) === header.length && length <= MAX_PACKET_BYTES) {
        chain.read(memory, header.length, packet);
        if (!this.#send(packet.length)) break;
      }
      this.#sentSegments = 0;
      queue.take();
      queue.putUsed(chain.head, 0);
      done++;
    }
    if (queue.isBroken) transport.fail();
    if (done > 0) transport.publish(R.TRANSMIT);
    if (done === MAX_WORK) this.#timer.armAfter(PAUSE_NS);
  }

  /** The packet and header just read. False: the network has no room now. */
  #send(length: number): boolean {
    const packet = this.#packet;
    const header = readHeader(this.#header);
    const layout = segmentLayout(packet, length, header);
    if (layout !== undefined) {
      const { headerBytes, segmentBytes } = layout;
      if (!canSegment(layout, length) || headerBytes + segmentBytes > FRAME_BYTES) return true;
      const payload = length - headerBytes;
      const segments = Math.max(1, Math.ceil(payload / segmentBytes));
      const frame = this.#packetFrame;
      for (let i = this.#sentSegments; i < segments; i++) {
        const at = i * segmentBytes;
        const bytes = Math.min(segmentBytes, payload - at);
        const frameBytes = writeSegment(packet, layout, i, at, bytes, i === segments - 1, frame);
        segmentChecksums(frame, frameBytes, layout);
        if (!this.#sendFrame(frame, frameBytes)) return false;
        this.#sentSegments = i + 1;
      }
      return true;
    }
    if (header.needsChecksum) completeChecksum(packet, length, header.checksumStart, header.checksumOffset);
    return this.#sendFrame(packet, length);
  }

  /** Segments are built here: a received frame may be waiting in the other buffer. */
  readonly #packetFrame = new Uint8Array(FRAME_BYTES);

  #sendFrame(frame: Uint8Array, length: number): boolean {
    if (!this.#hasCable || length < ETHERNET_HEADER_BYTES || length > MAX_FRAME_BYTES) return true;
    return this.#options.backend?.send(frame.subarray(0, length)) !== false;
  }

  // --- network to guest ---

  #receive(): void {
    const { backend } = this.#options;
    const transport = this.#options.transport();
    if (backend === undefined) return;
    if (!this.#hasCable || !transport.canRun) {
      this.#waitingBytes = 0;
      for (let i = 0; i < MAX_WORK && backend.readableBytes > 0; i++) backend.receive(this.#frame);
      return;
    }
    let done = 0;
    const filtersVlans = transport.hasFeature(R.F_CTRL_VLAN);
    for (let tries = 0; tries < MAX_WORK; tries++) {
      if (this.#waitingBytes === 0) {
        if (backend.readableBytes === 0) break;
        const length = backend.receive(this.#frame);
        if (length < ETHERNET_HEADER_BYTES || !this.#filter.accepts(this.#frame, length, filtersVlans)) continue;
        this.#waitingBytes = length;
      }
      // Without buffers the frame waits for the driver's next one.
      if (!this.#deliver()) {
        transport.queues[R.RECEIVE].askForMore();
        break;
      }
      this.#waitingBytes = 0;
      done++;
    }
    if (transport.queues[R.RECEIVE].isBroken) transport.fail();
    if (done > 0) transport.publish(R.RECEIVE);
    if (backend.readableBytes > 0 && this.#waitingBytes === 0) this.#timer.armAfter(PAUSE_NS);
  }

  /** Writes the waiting frame behind its header into as many buffers as it takes. False: there are too few. */
  #deliver(): boolean {
    const transport = this.#options.transport();
    const { memory } = this.#options;
    const queue = transport.queues[R.RECEIVE];
    const chain = this.#chain;
    const total = this.#headerBytes + this.#waitingBytes;
    const mayMerge = transport.hasFeature(R.F_MRG_RXBUF);
    let buffers = 0;
    for (let room = 0; room < total; buffers++) {
      if (!queue.peek(chain, buffers)) return false;
      room += chain.writableBytes;
      // A frame that its only buffer cannot hold is lost, the buffer is not.
      if (!mayMerge && room < total) return true;
    }
    this.#fillHeader(buffers);
    let done = 0;
    for (let i = 0; i < buffers; i++) {
      queue.peek(chain, i);
      const before = done;
      let offset = 0;
      if (i === 0) {
        offset = chain.write(memory, 0, this.#header.subarray(0, this.#headerBytes));
        done += offset;
      }
      // A header that is spread over buffers of a few bytes each: no driver does that, and nothing else would fit either.
      if (done < this.#headerBytes) return true;
      done += chain.write(memory, offset, this.#frame.subarray(done - this.#headerBytes, this.#waitingBytes));
      queue.putUsed(chain.head, done - before);
    }
    queue.take(buffers);
    return true;
  }

  #fillHeader(buffers: number): void {
    const header = this.#header;
    header.fill(0);
    if (this.#options.transport().hasFeature(R.F_GUEST_CSUM)) {
      inspectChecksums(this.#frame, this.#waitingBytes, this.#checksums);
      if (this.#checksums.protocol !== 0 && this.#checksums.isTransportGood) header[R.HDR_FLAGS] = R.HDR_F_DATA_VALID;
    }
    header[R.HDR_NUM_BUFFERS] = buffers & 0xff;
    header[R.HDR_NUM_BUFFERS + 1] = buffers >>> 8;
  }

  // --- control queue ---

  #control(): void {
    const transport = this.#options.transport();
    const queue = transport.queues[R.CONTROL];
    const { memory } = this.#options;
    const chain = this.#chain;
    let done = 0;
    while (done < MAX_WORK && queue.peek(chain)) {
      const command = this.#packet.subarray(0, Math.min(chain.readableBytes, MAX_COMMAND_BYTES));
      const length = chain.read(memory, 0, command);
      const answer =
        length < 2 ? R.CTRL_ERR : this.#filter.command(command[0], command[1], command.subarray(2, length));
      const written = chain.write(memory, 0, Uint8Array.of(answer));
      queue.take();
      queue.putUsed(chain.head, written);
      done++;
    }
    if (queue.isBroken) transport.fail();
    if (done > 0) transport.publish(R.CONTROL);
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      filter: this.#filter.save(),
      hasCable: this.#hasCable,
      frameBytes: this.#waitingBytes,
      frame: this.#frame.slice(0, this.#waitingBytes),
      headerBytes: this.#headerBytes,
      sentSegments: this.#sentSegments,
    };
  }

  load(state: StateReader): void {
    this.#filter.load(state.child("filter"));
    this.#hasCable = state.boolean("hasCable");
    const bytes = state.integer("frameBytes", 0, FRAME_BYTES);
    this.#frame.set(state.bytes("frame", bytes));
    this.#waitingBytes = bytes;
    this.#headerBytes = state.integer("headerBytes", R.HDR_BYTES_LEGACY, R.HDR_BYTES);
    this.#sentSegments = state.integer("sentSegments", 0, MAX_PACKET_BYTES);
    state.end();
    this.#timer.armAfter(PAUSE_NS);
  }
}
