import { describe, expect, test } from "vitest";
import { testFrame } from "../../device-api/testing-net.ts";
import { appendFcs, crcRegister } from "../../device-parts/ethernet.ts";
import * as R from "./registers.ts";
import { OWN_MAC, PcnetGuest, RX_RING, TX_RING } from "./testing.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const models = ["Am79C970A", "Am79C973"] as const;
const styles = [0, 1, 2, 3] as const;

/** A frame as it comes out of the receive ring: with four bytes of FCS behind it. */
const withoutFcs = (frame: Uint8Array | undefined) => frame?.slice(0, -4);

describe("how a driver finds the chip", () => {
  test.each(models)("%s: reset, stopped, RAP keeps its value, part number", (model) => {
    const guest = new PcnetGuest({ model });
    expect(guest.pci.barRead(0, R.WIO_RESET, 2)).toBe(0);
    expect(guest.readCsr(0)).toBe(R.CSR0_STOP);
    guest.pci.barWrite(0, R.WIO_RAP, 2, 88);
    expect(guest.pci.barRead(0, R.WIO_RAP, 2)).toBe(88);
    const id = guest.readCsr(88) | (guest.readCsr(89) << 16);
    expect(id & 0xfff).toBe(0x003);
    expect((id >>> 12) & 0xffff).toBe(model === "Am79C970A" ? 0x2621 : 0x2625);
    expect(guest.pci.readConfig(8, 1)).toBe(model === "Am79C970A" ? 0x16 : 0x40);
  });

  test("the address PROM, in any width, agrees with CSR12–14 and its checksum", () => {
    const guest = new PcnetGuest();
    const bytes = Array.from({ length: 16 }, (_, i) => guest.pci.barRead(0, i, 1));
    expect(bytes.slice(0, 6)).toEqual([0x08, 0x00, 0x27, 0x12, 0x34, 0x56]);
    expect(bytes.slice(14)).toEqual([0x57, 0x57]);
    const sum = [...bytes.slice(0, 12), ...bytes.slice(14)].reduce((a, b) => a + b);
    expect(bytes[12] | (bytes[13] << 8)).toBe(sum);
    expect(guest.pci.barRead(0, 2, 2)).toBe(bytes[2] | (bytes[3] << 8));
    expect(guest.pci.barRead(0, 12, 4)).toBe(0x57570000 + sum);
    expect([12, 13, 14].map((n) => guest.readCsr(n))).toEqual([0x0008, 0x1227, 0x5634]);
    // Read-only unless BCR2 says otherwise.
    guest.pci.barWrite(0, 5, 1, 0x99);
    expect(guest.pci.barRead(0, 5, 1)).toBe(0x56);
    guest.writeBcr(2, R.MC_APROMWE);
    guest.pci.barWrite(0, 5, 1, 0x99);
    expect(guest.pci.barRead(0, 5, 1)).toBe(0x99);
  });

  test("32-bit ports after a 32-bit write to RDP, until the next hardware reset", () => {
    const guest = new PcnetGuest({ isDword: true });
    expect(guest.readCsr(0)).toBe(R.CSR0_STOP);
    expect(guest.readBcr(18) & R.BSBC_DWIO).toBe(R.BSBC_DWIO);
    expect(guest.pci.barRead(0, R.RDP, 2)).toBe(0xffff);
    expect(guest.pci.barRead(0, R.DWIO_RESET, 4)).toBe(0);
    expect(guest.readCsr(89)).toBe(0x0262);
    guest.card.reset("hard");
    expect(guest.pci.barRead(0, R.RDP, 2)).toBe(R.CSR0_STOP);
  });

  test("the registers answer in memory too", () => {
    const guest = new PcnetGuest();
    guest.pci.barWrite(1, R.WIO_RAP, 2, 0);
    expect(guest.pci.barRead(1, R.RDP, 2)).toBe(R.CSR0_STOP);
  });
});

describe("transceiver of the 973", () => {
  const read = (guest: PcnetGuest, phy: number, register: number) => {
    guest.writeBcr(33, (phy << 5) | register);
    return guest.readBcr(34);
  };

  test("is at address 30 and nowhere else; 100 Mbit/s, full duplex, negotiated", () => {
    const guest = new PcnetGuest();
    const found = Array.from({ length: 32 }, (_, phy) => phy).filter((phy) => read(guest, phy, 2) !== 0xffff);
    expect(found).toEqual([30]);
    expect(read(guest, 30, 3)).toBe(0x6b60);
    expect(read(guest, 30, 1) & 0x24).toBe(0x24);
    expect(read(guest, 30, 5) & 0x0100).toBe(0x0100);
  });

  test("a lost link is seen even if it came back meanwhile", () => {
    const guest = new PcnetGuest();
    guest.card.setCableConnected(false);
    guest.card.setCableConnected(true);
    expect(read(guest, 30, 1) & 4).toBe(0);
    expect(read(guest, 30, 1) & 4).toBe(4);
    guest.card.setCableConnected(false);
    expect(read(guest, 30, 1) & 4).toBe(0);
    expect(read(guest, 30, 1) & 4).toBe(0);
  });

  test("the 970A says it with its LED", () => {
    const guest = new PcnetGuest({ model: "Am79C970A" });
    expect(guest.readBcr(4)).toBe(0x80c0);
    guest.card.setCableConnected(false);
    expect(guest.readBcr(4)).toBe(0x00c0);
    expect(guest.readBcr(34)).toBe(0);
  });
});

describe.each(models)("%s", (model) => {
  describe.each(styles)("software style %i", (style) => {
    test("a frame out: memory to network, descriptor back, interrupt until acknowledged", () => {
      const guest = new PcnetGuest({ model, style });
      guest.start();
      const frame = testFrame(BROADCAST, 100);
      guest.send([frame]);
      expect(guest.net.sent).toEqual([frame]);
      expect(guest.status(TX_RING, 0) & (R.OWN | R.ERR)).toBe(0);
      expect(guest.line).toBe(true);
      expect(guest.readCsr(0) & (R.CSR0_TINT | R.CSR0_INTR)).toBe(R.CSR0_TINT | R.CSR0_INTR);
      guest.writeCsr(0, R.CSR0_TINT | R.CSR0_IENA);
      expect(guest.line).toBe(false);
    });

    test("a frame in: network to memory with length, status and interrupt", () => {
      const guest = new PcnetGuest({ model, style });
      guest.start();
      const frame = testFrame(OWN_MAC, 1500, 9);
      guest.net.deliver(frame);
      expect(guest.line).toBe(true);
      expect(guest.readCsr(0) & R.CSR0_RINT).toBe(R.CSR0_RINT);
      const received = guest.receive();
      expect(withoutFcs(received?.frame)).toEqual(frame);
      expect((received?.status ?? 0) & 0xff00).toBe(R.STP | R.ENP);
      if (style !== 0) expect((received?.status ?? 0) & 0x70).toBe(R.RMD_PAM);
    });

    test("chained buffers, both ways, many times round the ring", () => {
      const guest = new PcnetGuest({ model, style, logRings: 3, bufferBytes: 600 });
      guest.start();
      for (let i = 0; i < 50; i++) {
        const frame = testFrame(OWN_MAC, 200 + i * 26, i);
        const cut = 20 + i;
        guest.send([frame.slice(0, 14), frame.slice(14, cut), frame.slice(cut)]);
        expect(guest.net.sent.at(-1)).toEqual(frame);
        guest.net.deliver(frame);
        expect(withoutFcs(guest.receive()?.frame)).toEqual(frame);
        expect(guest.receive()).toBeUndefined();
      }
    });
  });
});

describe("transmission", () => {
  test("short frames are padded if the driver asks for it", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.send([testFrame(BROADCAST, 10)]);
    expect(guest.net.sent[0].length).toBe(60);
    expect(guest.net.sent[0].slice(24)).toEqual(new Uint8Array(36));
  });

  test("a frame with the driver's own FCS leaves without it", () => {
    const guest = new PcnetGuest({ mode: R.MODE_DXMTFCS });
    guest.start();
    guest.writeCsr(4, 0x0115);
    const frame = testFrame(BROADCAST, 100);
    const withFcs = new Uint8Array(frame.length + 4);
    withFcs.set(frame);
    appendFcs(withFcs, frame.length);
    guest.send([withFcs]);
    guest.send([frame], R.TMD_ADD_FCS);
    expect(guest.net.sent).toEqual([frame, frame]);
  });

  test("no room in the network: descriptors stay the chip's, the frame goes when there is room, once", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.net.hasRoom = false;
    guest.send([testFrame(BROADCAST, 80, 1)]);
    guest.send([testFrame(BROADCAST, 80, 2)]);
    expect(guest.status(TX_RING, 0) & R.OWN).toBe(R.OWN);
    expect(guest.readCsr(0) & R.CSR0_TINT).toBe(0);
    guest.net.hasRoom = true;
    guest.net.event();
    expect(guest.net.sent.map((frame) => frame[11])).toEqual([1, 2]);
    expect(guest.line).toBe(true);
  });

  test("a driver that never asks is found out by polling; one that does costs few wake-ups", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.send([testFrame(BROADCAST, 80)], 0, false);
    expect(guest.net.sent.length).toBe(0);
    guest.context.clock.advance(3_000_000);
    expect(guest.net.sent.length).toBe(1);
    guest.context.clock.advance(10_000_000_000);
    const timer = guest.context.clock.timers.find(({ name }) => name === "pcnet poll");
    expect((timer?.deadlineNs ?? 0) - guest.context.clock.timeNs).toBeGreaterThan(10_000_000);
  });

  test("a chain that breaks off is an underflow that stops the transmitter, or does not", () => {
    for (const doesStop of [true, false]) {
      const guest = new PcnetGuest();
      guest.start();
      if (!doesStop) guest.writeCsr(3, R.CSR3_DXSUFLO);
      const frame = testFrame(BROADCAST, 80);
      guest.send([frame, frame], 0, false);
      // The second part is taken back before the chip looks.
      guest.memory.write16(TX_RING + 16 + 6, R.ENP);
      guest.writeCsr(0, R.CSR0_TDMD | R.CSR0_IENA);
      expect(guest.net.sent.length).toBe(0);
      expect(guest.status(TX_RING, 0) & (R.OWN | R.ERR)).toBe(R.ERR);
      expect(guest.transmitErrors(0) & 0xfc00).toBe(R.TMD_BUFF | R.TMD_UFLO);
      expect((guest.readCsr(0) & R.CSR0_TXON) === 0).toBe(doesStop);
    }
  });

  test("without a link frames are lost and the driver is told", () => {
    const guest = new PcnetGuest({ model: "Am79C970A", isCableConnected: false });
    guest.start();
    guest.send([testFrame(BROADCAST, 80)]);
    expect(guest.net.sent.length).toBe(0);
    expect(guest.transmitErrors(0)).toBe(R.TMD_LCAR);
    expect(guest.readCsr(0) & R.CSR0_CERR).toBe(R.CSR0_CERR);
    guest.card.setCableConnected(true);
    guest.send([testFrame(BROADCAST, 80)]);
    expect(guest.net.sent.length).toBe(1);
  });

  test("giants go nowhere and are called babble", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.send([testFrame(BROADCAST, 1400), new Uint8Array(600)]);
    expect(guest.net.sent.length).toBe(0);
    expect(guest.readCsr(0) & R.CSR0_BABL).toBe(R.CSR0_BABL);
  });

  test("CSR5 chooses which frames interrupt when they are out", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.writeCsr(5, R.CSR5_LTINTEN);
    guest.send([testFrame(BROADCAST, 80)]);
    expect(guest.readCsr(0) & R.CSR0_TINT).toBe(0);
    guest.send([testFrame(BROADCAST, 80)], R.TMD_LTINT);
    expect(guest.readCsr(0) & R.CSR0_TINT).toBe(R.CSR0_TINT);
    guest.writeCsr(0, R.CSR0_TINT | R.CSR0_IENA);
    guest.writeCsr(5, R.CSR5_TOKINTD);
    guest.send([testFrame(BROADCAST, 80)]);
    expect(guest.readCsr(0) & R.CSR0_TINT).toBe(0);
    expect(guest.net.sent.length).toBe(3);
  });

  test("nothing moves without bus mastering; it starts when that is allowed", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.pci.guestWrite(4, 2, 3);
    guest.send([testFrame(BROADCAST, 80)]);
    guest.net.deliver(testFrame(BROADCAST, 80));
    expect(guest.net.sent.length).toBe(0);
    guest.pci.guestWrite(4, 2, 7);
    expect(guest.net.sent.length).toBe(1);
    expect(guest.receive()).toBeDefined();
  });
});

describe("reception", () => {
  const groupAddress = "01:00:5e:00:00:fb";
  const hash = crcRegister(testFrame(groupAddress, 0), 6) >>> 26;
  const ladrf = [0, 1, 2, 3].map((word) => (hash >>> 4 === word ? 1 << (hash & 15) : 0));

  test.each([
    ["own address", OWN_MAC, {}, R.RMD_PAM],
    ["broadcast", BROADCAST, {}, R.RMD_BAM],
    ["another card's address", "08:00:27:99:99:99", {}, -1],
    ["another card's address, promiscuous", "08:00:27:99:99:99", { mode: R.MODE_PROM }, 0],
    ["broadcast, disabled", BROADCAST, { mode: R.MODE_DRCVBC }, -1],
    ["own address, disabled", OWN_MAC, { mode: R.MODE_DRCVPA }, -1],
    ["a group in the logical address filter", groupAddress, { ladrf }, R.RMD_LAFM],
    ["a group that is not", groupAddress, {}, -1],
  ])("%s", (_name, to, options, match) => {
    const guest = new PcnetGuest(options);
    guest.start();
    guest.net.deliver(testFrame(to, 64));
    const received = guest.receive();
    if (match < 0) expect(received).toBeUndefined();
    else expect((received?.status ?? 0) & 0x70).toBe(match);
    expect(guest.net.waiting.length).toBe(0);
  });

  test("short frames arrive padded; padding goes again with ASTRP_RCV", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.net.deliver(testFrame(OWN_MAC, 28));
    expect(guest.receive()?.frame.length).toBe(64);
    guest.writeCsr(4, 0x0915 | R.CSR4_ASTRP_RCV);
    const withLength = testFrame(OWN_MAC, 40);
    withLength.set([0, 40], 12);
    guest.net.deliver(withLength);
    expect(guest.receive()?.frame).toEqual(withLength);
  });

  test("a full ring: frames wait, come when buffers come back, in order", () => {
    const guest = new PcnetGuest();
    guest.start();
    const frames = Array.from({ length: 6 }, (_, i) => testFrame(OWN_MAC, 100, i));
    guest.net.deliver(...frames);
    const got = [0, 1, 2, 3].map(() => guest.receive()?.frame[11]);
    expect(guest.receive()).toBeUndefined();
    guest.context.clock.advance(2_000_000);
    got.push(guest.receive()?.frame[11], guest.receive()?.frame[11]);
    expect(got).toEqual([0, 1, 2, 3, 4, 5]);
    expect(guest.readCsr(0) & R.CSR0_MISS).toBe(0);
  });

  test("a ring that stays full misses frames and says so", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.net.deliver(...Array.from({ length: 8 }, (_, i) => testFrame(OWN_MAC, 100, i)));
    guest.context.clock.advance(1_000_000_000);
    expect(guest.readCsr(0) & (R.CSR0_MISS | R.CSR0_ERR)).toBe(R.CSR0_MISS | R.CSR0_ERR);
    expect(guest.readCsr(112)).toBeGreaterThan(0);
    expect(guest.net.waiting.length).toBe(0);
    // And recovers.
    for (let i = 0; i < 4; i++) guest.receive();
    guest.net.deliver(testFrame(OWN_MAC, 100, 77));
    expect(guest.receive()?.frame[11]).toBe(77);
  });

  test("look-ahead mode: a frame starts where software marked it", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.writeCsr(3, R.CSR3_LAPPEN);
    guest.giveReceiveBuffer(0, R.OWN);
    guest.giveReceiveBuffer(1, R.OWN | R.STP);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect(guest.status(RX_RING, 0)).toBe(0);
    expect(guest.status(RX_RING, 1) & 0xff00).toBe(R.STP | R.ENP);
  });

  test("stopped, switched off, suspended", () => {
    const guest = new PcnetGuest();
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect(guest.net.waiting.length).toBe(0);
    guest.start();
    guest.writeCsr(5, R.CSR5_SPND);
    expect(guest.readCsr(5) & R.CSR5_SPND).toBe(R.CSR5_SPND);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    guest.send([testFrame(BROADCAST, 100)]);
    expect(guest.receive()).toBeUndefined();
    expect(guest.net.sent.length).toBe(0);
    // Filters may change meanwhile.
    guest.writeCsr(15, R.MODE_PROM);
    guest.writeCsr(5, 0);
    expect(guest.receive()).toBeDefined();
    expect(guest.net.sent.length).toBe(1);
    guest.writeCsr(15, 0);
    expect(guest.readCsr(15)).toBe(R.MODE_PROM);
    guest.writeCsr(0, R.CSR0_STOP);
    expect(guest.readCsr(0)).toBe(R.CSR0_STOP);
    expect(guest.line).toBe(false);
  });
});

describe("loopback, as Linux's self-test does it", () => {
  test.each([
    [R.MODE_LOOP | 0x0040, 0],
    [0, 2],
  ])("mode %i, BCR32 %i: what goes out comes in and nothing reaches the network", (mode, miicas) => {
    const guest = new PcnetGuest({ mode: R.MODE_PROM });
    guest.start(0);
    guest.writeCsr(0, R.CSR0_STOP);
    const frames = [0, 1, 2, 3].map((i) => testFrame(OWN_MAC, 61, i));
    for (const frame of frames) guest.send([frame], 0, false);
    guest.writeBcr(32, guest.readBcr(32) | miicas);
    guest.writeCsr(15, guest.readCsr(15) | mode);
    guest.writeCsr(0, R.CSR0_STRT);
    for (const frame of frames) {
      const received = guest.receive();
      expect(withoutFcs(received?.frame)).toEqual(frame);
      expect((received?.status ?? 0) & 0xff00).toBe(R.STP | R.ENP);
    }
    expect(guest.net.sent.length).toBe(0);
    guest.net.deliver(frames[0]);
    expect(guest.receive()).toBeUndefined();
  });

  test("a wrong FCS made by software is noticed", () => {
    const guest = new PcnetGuest({ mode: R.MODE_LOOP | R.MODE_DXMTFCS });
    guest.start();
    guest.writeCsr(4, 0x0115);
    guest.send([testFrame(OWN_MAC, 100)]);
    expect((guest.receive()?.status ?? 0) & (R.RMD_CRC | R.ERR)).toBe(R.RMD_CRC | R.ERR);
  });
});

describe("interrupts", () => {
  test("CSR3 masks, as Linux's polling does, without losing events", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.writeCsr(3, 0x5f00);
    guest.net.deliver(testFrame(OWN_MAC, 100));
    expect(guest.line).toBe(false);
    guest.writeCsr(3, 0);
    expect(guest.line).toBe(true);
  });

  test("the user interrupt and the software timer", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.writeCsr(4, 0x0915 | R.CSR4_UINTCMD);
    expect(guest.line).toBe(true);
    guest.writeCsr(4, 0x0915 | R.CSR4_UINT);
    expect(guest.line).toBe(false);
    guest.writeBcr(31, 99);
    guest.writeCsr(7, R.CSR7_STINTE);
    guest.context.clock.advance(1_270_000);
    expect(guest.line).toBe(false);
    guest.context.clock.advance(20_000);
    expect(guest.line).toBe(true);
    guest.writeCsr(7, R.CSR7_STINT | R.CSR7_STINTE);
    expect(guest.line).toBe(false);
    guest.context.clock.advance(1_300_000);
    expect(guest.line).toBe(true);
  });

  test("a restart without initialisation begins at the rings' bases", () => {
    const guest = new PcnetGuest();
    guest.start();
    guest.send([testFrame(BROADCAST, 80, 1)]);
    guest.writeCsr(0, R.CSR0_STOP);
    guest.tx = 0;
    guest.send([testFrame(BROADCAST, 80, 2)], 0, false);
    guest.writeCsr(0, R.CSR0_STRT | R.CSR0_IENA);
    expect(guest.net.sent.map((frame) => frame[11])).toEqual([1, 2]);
  });
});

test("saved state: in the middle of things, to a fresh card, and equal again", () => {
  const guest = new PcnetGuest({ style: 3 });
  guest.start();
  guest.net.deliver(...Array.from({ length: 5 }, (_, i) => testFrame(OWN_MAC, 100, i)));
  guest.net.hasRoom = false;
  guest.send([testFrame(BROADCAST, 80, 42)]);
  const saved = guest.card.save();
  const other = new PcnetGuest({ style: 3 });
  other.card.load(saved);
  expect(other.card.save()).toEqual(saved);
  other.memory.bytes.set(guest.memory.bytes);
  other.tx = guest.tx;
  other.net.event();
  expect(other.net.sent.map((frame) => frame[11])).toEqual([42]);
  for (let i = 0; i < 4; i++) expect(other.receive()?.frame[11]).toBe(i);
  other.context.clock.advance(2_000_000);
  expect(other.receive()?.frame[11]).toBe(4);
  const wrong = new PcnetGuest({ model: "Am79C970A" });
  expect(() => wrong.card.load(saved)).toThrow(/pcnet\.model/);
});
