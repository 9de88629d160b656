/**
 * Which frames a virtio network device takes, and the control commands that say so (Virtual I/O Device 1.2, 5.1.6.5). Until a driver
 * says anything it gets everything, as drivers without a control queue expect.
 */

import type { SavedValue } from "../../device-api/saved-state.ts";
import type { StateReader } from "../../device-api/state-reader.ts";
import { isBroadcast, isMulticast } from "../../device-parts/ethernet.ts";
import * as R from "./registers.ts";

const ADDRESS_BYTES = 6;
/** Addresses of each kind; a driver with more gets all of the kind. */
const MAX_ADDRESSES = 64;
const VLAN_WORDS = 128;

export class ReceiveFilter {
  readonly mac: Uint8Array;
  readonly #permanentMac: Uint8Array;
  #isPromiscuous = true;
  #isAllMulticast = false;
  #unicast: Uint8Array = new Uint8Array(0);
  #multicast: Uint8Array = new Uint8Array(0);
  #hasTooManyUnicast = false;
  #hasTooManyMulticast = false;
  readonly #vlans = new Uint32Array(VLAN_WORDS);

  constructor(macAddress: Uint8Array) {
    this.#permanentMac = macAddress.slice(0, ADDRESS_BYTES);
    this.mac = this.#permanentMac.slice();
  }

  reset(): void {
    this.mac.set(this.#permanentMac);
    this.#isPromiscuous = true;
    this.#isAllMulticast = false;
    this.#setTables(new Uint8Array(0), new Uint8Array(0));
    this.#vlans.fill(0);
  }

  #setTables(unicast: Uint8Array, multicast: Uint8Array): void {
    this.#hasTooManyUnicast = unicast.length > MAX_ADDRESSES * ADDRESS_BYTES;
    this.#hasTooManyMulticast = multicast.length > MAX_ADDRESSES * ADDRESS_BYTES;
    this.#unicast = this.#hasTooManyUnicast ? new Uint8Array(0) : unicast;
    this.#multicast = this.#hasTooManyMulticast ? new Uint8Array(0) : multicast;
  }

  /** `filtersVlans`: the driver has taken over the VLAN table. */
  accepts(frame: Uint8Array, length: number, filtersVlans: boolean): boolean {
    if (this.#isPromiscuous) return true;
    if (filtersVlans && length >= 18 && frame[12] === 0x81 && frame[13] === 0) {
      const vlan = ((frame[14] & 0x0f) << 8) | frame[15];
      if (((this.#vlans[vlan >>> 5] >>> (vlan & 31)) & 1) === 0) return false;
    }
    if (isBroadcast(frame)) return true;
    if (isMulticast(frame)) return this.#isAllMulticast || this.#hasTooManyMulticast || holds(this.#multicast, frame);
    return this.#hasTooManyUnicast || holds(this.mac, frame) || holds(this.#unicast, frame);
  }

  /** Carries out a command with its data; CTRL_OK or CTRL_ERR. */
  command(commandClass: number, command: number, data: Uint8Array): number {
    switch (commandClass) {
      case R.CTRL_RX:
        if (data.length < 1) return R.CTRL_ERR;
        if (command === R.CTRL_RX_PROMISC) this.#isPromiscuous = data[0] !== 0;
        else if (command === R.CTRL_RX_ALLMULTI) this.#isAllMulticast = data[0] !== 0;
        else return R.CTRL_ERR;
        return R.CTRL_OK;
      case R.CTRL_MAC:
        if (command === R.CTRL_MAC_ADDR_SET && data.length >= ADDRESS_BYTES) {
          this.mac.set(data.subarray(0, ADDRESS_BYTES));
          return R.CTRL_OK;
        }
        return command === R.CTRL_MAC_TABLE_SET ? this.#takeTables(data) : R.CTRL_ERR;
      case R.CTRL_VLAN: {
        if (data.length < 2) return R.CTRL_ERR;
        const vlan = (data[0] | (data[1] << 8)) & 0xfff;
        if (command === R.CTRL_VLAN_ADD) this.#vlans[vlan >>> 5] |= 1 << (vlan & 31);
        else if (command === R.CTRL_VLAN_DEL) this.#vlans[vlan >>> 5] &= ~(1 << (vlan & 31));
        else return R.CTRL_ERR;
        return R.CTRL_OK;
      }
      default:
        return R.CTRL_ERR;
    }
  }

  /** Two tables, each a 32-bit count and the addresses. */
  #takeTables(data: Uint8Array): number {
    const tables: Uint8Array[] = [];
    let at = 0;
    for (let i = 0; i < 2; i++) {
      if (at + 4 > data.length) return R.CTRL_ERR;
      const count = (data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24)) >>> 0;
      const end = at + 4 + count * ADDRESS_BYTES;
      if (end > data.length) return R.CTRL_ERR;
      tables.push(data.slice(at + 4, end));
      at = end;
    }
    this.#setTables(tables[0], tables[1]);
    return R.CTRL_OK;
  }

  save(): { readonly [key: string]: SavedValue } {
    return {
      mac: this.mac.slice(),
      isPromiscuous: this.#isPromiscuous,
      isAllMulticast: this.#isAllMulticast,
      unicast: [...this.#unicast],
      multicast: [...this.#multicast],
      hasTooManyUnicast: this.#hasTooManyUnicast,
      hasTooManyMulticast: this.#hasTooManyMulticast,
      vlans: [...this.#vlans],
    };
  }

  load(state: StateReader): void {
    const most = MAX_ADDRESSES * ADDRESS_BYTES;
    this.mac.set(state.bytes("mac", ADDRESS_BYTES));
    this.#isPromiscuous = state.boolean("isPromiscuous");
    this.#isAllMulticast = state.boolean("isAllMulticast");
    this.#unicast = Uint8Array.from(state.integers("unicast", 0, most, 0, 255));
    this.#multicast = Uint8Array.from(state.integers("multicast", 0, most, 0, 255));
    this.#hasTooManyUnicast = state.boolean("hasTooManyUnicast");
    this.#hasTooManyMulticast = state.boolean("hasTooManyMulticast");
    this.#vlans.set(state.integers("vlans", VLAN_WORDS, VLAN_WORDS, 0, 0xffffffff));
    state.end();
  }
}

/** Whether the frame's destination is among addresses one behind the other. */
function holds(addresses: Uint8Array, frame: Uint8Array): boolean {
  next: for (let at = 0; at + ADDRESS_BYTES <= addresses.length; at += ADDRESS_BYTES) {
    for (let i = 0; i < ADDRESS_BYTES; i++) if (addresses[at + i] !== frame[i]) continue next;
    return true;
  }
  return false;
}
