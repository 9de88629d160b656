import { describe, expect, test } from "vitest";
import { testFrame } from "../../device-api/testing-net.ts";
import { addWords, fold } from "../../device-parts/internet-checksum.ts";
import * as R from "./registers.ts";
import { E1000Guest, OWN_MAC } from "./testing.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const models = ["82540EM", "82543GC", "82545EM"] as const;

/** Reads an EEPROM word with four pins, as Linux does. */
function readMicrowire(guest: E1000Guest, address: number): number {
  let eecd = R.EECD_REQ;
  const pins = (set: number, clear = 0) => {
    eecd = (eecd | set) & ~clear;
    guest.set(R.EECD, eecd);
  };
  const clock = () => {
    pins(R.EECD_SK);
    const out = guest.get(R.EECD) & R.EECD_DO ? 1 : 0;
    pins(0, R.EECD_SK);
    return out;
  };
  pins(0, R.EECD_SK | R.EECD_DI);
  expect(guest.get(R.EECD) & R.EECD_GNT).toBe(R.EECD_GNT);
  pins(R.EECD_CS);
  for (let bit = 8; bit >= 0; bit--) {
    if (((0b110_000000 | address) >>> bit) & 1) pins(R.EECD_DI);
    else pins(0, R.EECD_DI);
    clock();
  }
  pins(0, R.EECD_DI);
  let word = 0;
  for (let i = 0; i < 16; i++) word = (word << 1) | clock();
  pins(0, R.EECD_CS | R.EECD_REQ);
  return word;
}

/** A transceiver register by MDIC, or bit by bit on the 82543. */
function phyAccess(guest: E1000Guest, isBitwise: boolean, register: number, value?: number, address = 1): number {
  if (!isBitwise) {
    const operation = value === undefined ? R.MDIC_OP_READ : R.MDIC_OP_WRITE;
    guest.set(R.MDIC, (operation << 26) | (address << 21) | (register << 16) | (value ?? 0));
    const result = guest.get(R.MDIC);
    expect(result & R.MDIC_READY).toBe(R.MDIC_READY);
    return result & R.MDIC_ERROR ? 0xffff : result & 0xffff;
  }
  const direction = 0x0300_0000;
  const out = (data: number, count: number) => {
    for (let bit = count - 1; bit >= 0; bit--) {
      const level = (data >>> bit) & 1 ? R.CTRL_MDIO : 0;
      guest.set(R.CTRL, direction | level);
      guest.set(R.CTRL, direction | level | R.CTRL_MDC);
      guest.set(R.CTRL, direction | level);
    }
  };
  out(0xffffffff, 32);
  if (value !== undefined) {
    out((0b0101 << 12) | (address << 7) | (register << 2) | 2, 16);
    out(value, 16);
    return value;
  }
  out((0b0110 << 10) | (address << 5) | register, 14);
  const pulse = () => {
    guest.set(R.CTRL, 0x0200_0000 | R.CTRL_MDC);
    const level = guest.get(R.CTRL) & R.CTRL_MDIO ? 1 : 0;
    guest.set(R.CTRL, 0x0200_0000);
    return level;
  };
  guest.set(R.CTRL, 0x0200_0000);
  pulse();
  let word = 0;
  for (let i = 0; i < 16; i++) word = (word << 1) | pulse();
  pulse();
  return word;
}

describe.each(models)("%s: how a driver finds it", (model) => {
  const ids = {
    "82540EM": [0x100e, 0x8086, 0x001e],
    "82543GC": [0x1004, 0x8086, 0x1004],
    "82545EM": [0x100f, 0x15ad, 0x0750],
  };

  test("PCI identity, EEPROM with its checksum, address", () => {
    const guest = new E1000Guest({ model });
    expect([guest.pci.readConfig(2, 2), guest.pci.readConfig(0x2c, 2), guest.pci.readConfig(0x2e, 2)]).toEqual(
      ids[model],
    );
    const words = Array.from({ length: 64 }, (_, i) => readMicrowire(guest, i));
    expect(words.reduce((sum, word) => (sum + word) & 0xffff)).toBe(0xbaba);
    expect(words.slice(0, 3)).toEqual([0x0008, 0x1227, 0x5634]);
    expect(words[0x0d]).toBe(ids[model][0]);
    expect([guest.get(R.RA), guest.get(R.RA + 4)]).toEqual([0x12270008, 0x80005634]);
    if (model !== "82543GC") {
      guest.set(R.EERD, (2 << 8) | R.EERD_START);
      expect(guest.get(R.EERD)).toBe(0x5634_0210);
    }
  });

  test("transceiver: identity, link, speed; nobody at other addresses", () => {
    const guest = new E1000Guest({ model });
    const isBitwise = model === "82543GC";
    expect(phyAccess(guest, isBitwise, 2)).toBe(0x0141);
    expect(phyAccess(guest, isBitwise, 3)).toBe(isBitwise ? 0x0c50 : 0x0c20);
    expect(phyAccess(guest, isBitwise, 2, undefined, 5)).toBe(0xffff);
    expect(phyAccess(guest, isBitwise, 1) & 0x24).toBe(0x24);
    expect(phyAccess(guest, isBitwise, 17) & 0xac00).toBe(0xac00);
    phyAccess(guest, isBitwise, 16, 0x1234);
    expect(phyAccess(guest, isBitwise, 16)).toBe(0x1234);
    // 100 Mbit/s half duplex only.
    phyAccess(guest, isBitwise, 9, 0);
    phyAccess(guest, isBitwise, 4, 0x0081);
    expect(guest.get(R.STATUS) & 0xc3).toBe(R.STATUS_LU | R.STATUS_SPEED_100);
    guest.card.setCableConnected(false);
    expect(guest.get(R.STATUS) & R.STATUS_LU).toBe(0);
    expect(phyAccess(guest, isBitwise, 1) & 4).toBe(0);
  });

  test("a global reset, through memory and through the ports, forgets everything but the cable", () => {
    for (const write of [
      (guest: E1000Guest) => guest.set(R.CTRL, R.CTRL_RST),
      (guest: E1000Guest) => {
        guest.pci.barWrite(2, 0, 4, R.CTRL);
        guest.pci.barWrite(2, 4, 4, R.CTRL_RST);
      },
    ]) {
      const guest = new E1000Guest({ model });
      guest.start();
      guest.net.deliver(testFrame(OWN_MAC, 100));
      expect(guest.line).toBe(true);
      write(guest);
      expect(guest.line).toBe(false);
      expect([guest.get(R.RCTL), guest.get(R.IMS), guest.get(R.RDT), guest.get(R.CTRL) & R.CTRL_RST]).toEqual([
        0, 0, 0, 0,
      ]);
      expect(guest.get(R.STATUS) & R.STATUS_LU).toBe(R.STATUS_LU);
      guest.pci.barWrite(2, 0, 4, R.STATUS);
      expect(guest.pci.barRead(2, 4, 4)).toBe(guest.get(R.STATUS));
    }
  });

  test("frames both ways, many times round the ring", () => {
    const guest = new E1000Guest({ model });
    guest.start();
    for (let i = 0; i < 60; i++) {
      const frame = testFrame(OWN_MAC, 46 + i * 24, i);
      const done = guest.send([frame.slice(0, 14), frame.slice(14)]);
      expect(guest.net.sent.at(-1)).toEqual(frame);
      expect(guest.memory.read8(done + 12) & R.TXD_STAT_DD).toBe(R.TXD_STAT_DD);
      guest.net.deliver(frame);
      expect(guest.get(R.ICR) & (R.ICR_RXT0 | R.ICR_TXDW)).toBe(R.ICR_RXT0 | R.ICR_TXDW);
      const received = guest.receive();
      expect(received?.frame).toEqual(frame);
      expect(received?.errors).toBe(0);
      expect(guest.line).toBe(false);
    }
    expect(guest.get(0x4074)).toBe(60);
    expect(guest.get(0x4074)).toBe(0);
  });
});

describe("reception", () => {
  const group = "01:00:5e:00:00:fb";
  const hash = (((0xfb << 8) >>> 4) & 0xfff) >>> 0;

  test.each([
    ["own address", OWN_MAC, 0, true],
    ["another card's", "08:00:27:99:99:99", 0, false],
    ["another card's, promiscuous", "08:00:27:99:99:99", R.RCTL_UPE, true],
    ["a group in the table", group, 0, true],
    ["a group that is not", "01:00:5e:00:00:17", 0, false],
    ["any group, promiscuous", "01:00:5e:00:00:17", R.RCTL_MPE, true],
  ])("%s", (_name, to, rctl, isTaken) => {
    const guest = new E1000Guest({ rctl });
    guest.start();
    guest.set(R.MTA + 4 * (hash >>> 5), 1 << (hash & 31));
    guest.net.deliver(testFrame(to, 64));
    const received = guest.receive();
    expect(received !== undefined).toBe(isTaken);
    if (to === group) expect((received?.status ?? 0) & R.RXD_STAT_PIF).toBe(R.RXD_STAT_PIF);
    expect(guest.net.waiting.length).toBe(0);
  });

  test("a frame over several small buffers; with room for an FCS where it is not stripped", () => {
    const guest = new E1000Guest({ bufferBytes: 256 });
    guest.start();
    const frame = testFrame(OWN_MAC, 1000);
    guest.net.deliver(frame);
    expect(guest.receive()?.frame).toEqual(frame);
    guest.set(R.RCTL, R.RCTL_EN | R.RCTL_BAM | (3 << 16));
    guest.net.deliver(frame);
    expect(guest.receive()?.frame.length).toBe(frame.length + 4);
  });

  test("VLANs: the tag goes into the descriptor, the table filters", () => {
    const guest = new E1000Guest({ rctl: R.RCTL_VFE });
    guest.start();
    guest.set(R.VET, 0x8100);
    guest.set(R.CTRL, guest.get(R.CTRL) | R.CTRL_VME);
    const inner = testFrame(OWN_MAC, 100);
    const tagged = (vlan: number) =>
      Uint8Array.from([...inner.slice(0, 12), 0x81, 0, vlan >>> 8, vlan & 0xff, ...inner.slice(12)]);
    guest.net.deliver(tagged(0x2005));
    expect(guest.receive()).toBeUndefined();
    guest.set(R.VFTA, 1 << 5);
    guest.net.deliver(tagged(0x2005));
    const received = guest.receive();
    expect(received?.frame).toEqual(inner);
    expect([(received?.status ?? 0) & R.RXD_STAT_VP, received?.special]).toEqual([R.RXD_STAT_VP, 0x2005]);
    guest.send([inner], R.TXD_CMD_VLE, 0x2005 << 16);
    expect(guest.net.sent[0]).toEqual(tagged(0x2005));
  });

  test("a full ring: frames wait, the driver is told, they come in order", () => {
    const guest = new E1000Guest();
    guest.start();
    guest.net.deliver(...Array.from({ length: 12 }, (_, i) => testFrame(OWN_MAC, 100, i)));
    expect(guest.get(R.ICR) & R.ICR_RXDMT0).toBe(R.ICR_RXDMT0);
    expect(guest.get(R.RNBC)).toBe(1);
    const got = Array.from({ length: 12 }, () => guest.receive()?.frame[11]);
    expect(got).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test("a ring that stays full misses frames and says so", () => {
    const guest = new E1000Guest();
    guest.start();
    guest.net.deliver(...Array.from({ length: 9 }, (_, i) => testFrame(OWN_MAC, 100, i)));
    guest.get(R.ICR);
    guest.context.clock.advance(1_000_000_000);
    expect(guest.get(R.ICR) & R.ICR_RXO).toBe(R.ICR_RXO);
    expect(guest.get(R.MPC)).toBe(2);
    expect(guest.net.waiting.length).toBe(0);
  });
});

/** An IPv4 packet with a TCP or UDP header and payload in a frame, all checksums good. */
function ipFrame(protocol: 6 | 17, payloadBytes: number): Uint8Array {
  const headerBytes = protocol === 6 ? 20 : 8;
  const frame = testFrame(OWN_MAC, 20 + headerBytes + payloadBytes);
  frame.set([0x08, 0x00], 12);
  const total = 20 + headerBytes + payloadBytes;
  frame.set(
    [0x45, 0, total >>> 8, total & 0xff, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15],
    14,
  );
  put16(frame, 24, ~fold(addWords(frame, 14, 34)));
  const at = 34;
  if (protocol === 6) frame.set([0x1f, 0x90, 0xc0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0x50, 0x19, 0x20, 0, 0, 0, 0, 0], at);
  else frame.set([0x1f, 0x90, 0xc0, 0, (total - 20) >>> 8, (total - 20) & 0xff, 0, 0], at);
  put16(frame, at + (protocol === 6 ? 16 : 6), ~transportSum(frame));
  return frame;
}
const put16 = (bytes: Uint8Array, at: number, value: number) => bytes.set([(value >>> 8) & 0xff, value & 0xff], at);
const get16 = (bytes: Uint8Array, at: number) => (bytes[at] << 8) | bytes[at + 1];
/** Over pseudo-header and transport: 0xffff where the checksum is in place and right. */
function transportSum(frame: Uint8Array): number {
  const end = 14 + get16(frame, 16);
  return fold(addWords(frame, 34, end, addWords(frame, 26, 34) + frame[23] + end - 34));
}

describe("checksums", () => {
  test.each([6, 17] as const)("received, protocol %i: good, bad transport, bad header", (protocol) => {
    const guest = new E1000Guest({ rxcsum: R.RXCSUM_IPOFL | R.RXCSUM_TUOFL });
    guest.start();
    const good = ipFrame(protocol, 333);
    const bad = good.slice();
    bad[100] ^= 1;
    const badHeader = good.slice();
    badHeader[22] ^= 1;
    guest.net.deliver(good, bad, badHeader, testFrame(OWN_MAC, 64));
    const both = R.RXD_STAT_IPCS | R.RXD_STAT_TCPCS;
    const seen = [0, 1, 2, 3].map(() => {
      const { status = 0, errors } = guest.receive() ?? {};
      return [status & (both | R.RXD_STAT_IXSM), errors];
    });
    expect(seen).toEqual([
      [both, 0],
      [both, R.RXD_ERR_TCPE],
      [both, R.RXD_ERR_IPE],
      [R.RXD_STAT_IXSM, 0],
    ]);
  });

  test("sent: a context says where, the data descriptor what", () => {
    const guest = new E1000Guest();
    guest.start();
    const good = ipFrame(6, 500);
    const raw = good.slice();
    put16(raw, 24, 0);
    // Drivers leave the pseudo-header's sum in the field.
    put16(raw, 50, fold(addWords(raw, 26, 34, 6 + 520)));
    guest.descriptor(14 | (24 << 8) | (33 << 16), 34 | (50 << 8), R.TXD_CMD_DEXT | R.TUCMD_TCP | R.TUCMD_IP, 0, false);
    const command = R.TXD_CMD_DEXT | R.TXD_DTYP_DATA | R.TXD_CMD_IFCS | R.TXD_CMD_RS;
    const at = guest.buffer(raw);
    guest.descriptor(at, 0, command | 14, R.POPTS_IXSM | R.POPTS_TXSM, false);
    guest.descriptor(at + 14, 0, command | R.TXD_CMD_EOP | (raw.length - 14), 0);
    expect(guest.net.sent).toEqual([good]);
    // The context stays for the next packet; without options nothing is touched.
    guest.descriptor(guest.buffer(raw), 0, command | R.TXD_CMD_EOP | raw.length, 0);
    expect(guest.net.sent[1]).toEqual(raw);
  });

  test("legacy descriptors name start and place themselves", () => {
    const guest = new E1000Guest();
    guest.start();
    const good = ipFrame(6, 99);
    const raw = good.slice();
    put16(raw, 50, fold(addWords(raw, 26, 34, 6 + 119)));
    guest.send([raw], R.TXD_CMD_IC | (50 << 16), 34 << 8);
    expect(guest.net.sent).toEqual([good]);
  });

  test("segmentation: lengths, identification, sequence, flags and checksums of every segment", () => {
    const guest = new E1000Guest({ ringLength: 16 });
    guest.start();
    const payload = 5000;
    const mss = 1460;
    const packet = ipFrame(6, payload);
    put16(packet, 16, 0);
    put16(packet, 24, 0);
    put16(packet, 50, fold(addWords(packet, 26, 34, 6)));
    const context = R.TXD_CMD_DEXT | R.TUCMD_TCP | R.TUCMD_IP | R.TXD_CMD_TSE;
    guest.descriptor(14 | (24 << 8) | (33 << 16), 34 | (50 << 8), context | payload, (mss << 16) | (54 << 8), false);
    const command = R.TXD_CMD_DEXT | R.TXD_DTYP_DATA | R.TXD_CMD_IFCS | R.TXD_CMD_RS | R.TXD_CMD_TSE;
    const at = guest.buffer(packet);
    guest.net.hasRoom = false;
    guest.descriptor(at, 0, command | 2000, R.POPTS_IXSM | R.POPTS_TXSM, false);
    const last = guest.descriptor(at + 2000, 0, command | R.TXD_CMD_EOP | (packet.length - 2000), 0);
    // A network that takes one frame at a time gets each segment once.
    expect(guest.memory.read8(last + 12) & R.TXD_STAT_DD).toBe(0);
    for (let i = 0; i < 8; i++) {
      const before = guest.net.sent.length;
      guest.net.hasRoom = true;
      const send = guest.net.send.bind(guest.net);
      guest.net.send = (frame) => guest.net.sent.length === before && send(frame);
      guest.net.event();
      guest.net.send = send;
    }
    expect(guest.memory.read8(last + 12) & R.TXD_STAT_DD).toBe(R.TXD_STAT_DD);
    const segments = guest.net.sent;
    expect(segments.map((frame) => frame.length)).toEqual([1514, 1514, 1514, 54 + 620]);
    segments.forEach((frame, i) => {
      expect(get16(frame, 16)).toBe(frame.length - 14);
      expect(get16(frame, 18)).toBe(0x1234 + i);
      expect((get16(frame, 38) * 65536 + get16(frame, 40)) >>> 0).toBe(0x100 + i * mss);
      expect(frame[47]).toBe(i === 3 ? 0x19 : 0x10);
      expect(fold(addWords(frame, 14, 34))).toBe(0xffff);
      expect(transportSum(frame)).toBe(0xffff);
      expect(frame.slice(54)).toEqual(packet.slice(54 + i * mss, 54 + (i + 1) * mss));
    });
  });
});

describe("transmission", () => {
  test("no room in the network: the head stays, the frame goes once when there is room", () => {
    const guest = new E1000Guest();
    guest.start();
    guest.net.hasRoom = false;
    const done = guest.send([testFrame(BROADCAST, 100, 1)]);
    guest.send([testFrame(BROADCAST, 100, 2)]);
    expect([guest.get(R.TDH), guest.memory.read8(done + 12)]).toEqual([0, 0]);
    guest.net.hasRoom = true;
    guest.net.event();
    expect(guest.net.sent.map((frame) => frame[11])).toEqual([1, 2]);
    expect(guest.get(R.TDH)).toBe(2);
  });

  test("short frames are padded; nothing goes without a link or bus mastering", () => {
    const guest = new E1000Guest();
    guest.start();
    guest.send([testFrame(BROADCAST, 10)]);
    expect(guest.net.sent[0].length).toBe(60);
    guest.card.setCableConnected(false);
    guest.send([testFrame(BROADCAST, 100)]);
    guest.card.setCableConnected(true);
    expect(guest.net.sent.length).toBe(1);
    guest.pci.guestWrite(4, 2, 3);
    guest.send([testFrame(BROADCAST, 100, 5)]);
    expect(guest.net.sent.length).toBe(1);
    guest.pci.guestWrite(4, 2, 7);
    expect(guest.net.sent.map((frame) => frame[11])).toEqual([1, 5]);
  });

  test("loopback in the transceiver", () => {
    const guest = new E1000Guest();
    guest.start();
    phyAccess(guest, false, 0, 0x4140);
    const frame = testFrame(OWN_MAC, 200);
    guest.send([frame]);
    expect(guest.receive()?.frame).toEqual(frame);
    expect(guest.net.sent.length).toBe(0);
  });
});

describe("interrupts", () => {
  test("the cause is cleared by reading; the mask decides; software can cause one", () => {
    const guest = new E1000Guest();
    guest.start();
    guest.set(R.IMC, 0xffffffff);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect(guest.line).toBe(false);
    guest.set(R.IMS, R.ICR_RXT0);
    expect(guest.line).toBe(true);
    guest.get(R.ICR);
    expect(guest.line).toBe(false);
    guest.set(R.IMS, R.ICR_LSC);
    guest.set(R.ICS, R.ICR_LSC);
    expect(guest.line).toBe(true);
    guest.set(R.ICR, R.ICR_LSC);
    expect(guest.line).toBe(false);
    guest.card.setCableConnected(false);
    expect(guest.get(R.ICR) & R.ICR_LSC).toBe(R.ICR_LSC);
  });

  test("the throttle spaces them", () => {
    const guest = new E1000Guest();
    guest.start();
    guest.set(R.ITR, 400);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect(guest.line).toBe(true);
    guest.get(R.ICR);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect(guest.line).toBe(false);
    guest.context.clock.advance(90_000);
    expect(guest.line).toBe(false);
    guest.context.clock.advance(15_000);
    expect(guest.line).toBe(true);
  });

  test("receive and transmit delays collect, limits end them", () => {
    const guest = new E1000Guest({ ringLength: 32 });
    guest.start();
    guest.set(R.RDTR, 100);
    guest.set(R.RADV, 150);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    guest.context.clock.advance(80_000);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    guest.context.clock.advance(50_000);
    expect(guest.line).toBe(false);
    guest.context.clock.advance(40_000);
    expect(guest.get(R.ICR) & R.ICR_RXT0).toBe(R.ICR_RXT0);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    guest.set(R.RDTR, (R.RDTR_FPD | 100) >>> 0);
    expect(guest.get(R.ICR) & R.ICR_RXT0).toBe(R.ICR_RXT0);
    guest.set(R.TIDV, 50);
    guest.send([testFrame(BROADCAST, 100)], R.TXD_CMD_IDE);
    expect(guest.get(R.ICR) & R.ICR_TXDW).toBe(0);
    guest.context.clock.advance(60_000);
    expect(guest.get(R.ICR) & R.ICR_TXDW).toBe(R.ICR_TXDW);
    guest.send([testFrame(BROADCAST, 100)]);
    expect(guest.get(R.ICR) & R.ICR_TXDW).toBe(R.ICR_TXDW);
  });
});

test("saved state: in the middle of things, to a fresh card, and equal again", () => {
  const guest = new E1000Guest();
  guest.start();
  guest.net.deliver(...Array.from({ length: 9 }, (_, i) => testFrame(OWN_MAC, 100, i)));
  guest.net.hasRoom = false;
  guest.send([testFrame(BROADCAST, 80, 42)]);
  const saved = guest.card.save();
  const other = new E1000Guest();
  other.card.load(saved);
  expect(other.card.save()).toEqual(saved);
  other.memory.bytes.set(guest.memory.bytes);
  other.tx = guest.tx;
  other.net.event();
  expect(other.net.sent.map((frame) => frame[11])).toEqual([42]);
  for (let i = 0; i < 8; i++) expect(other.receive()?.frame[11]).toBe(i);
  expect(() => new E1000Guest({ model: "82545EM" }).card.load(saved)).toThrow(/e1000\.model/);
});
