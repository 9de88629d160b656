import { createCipheriv } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import type { PointerShape } from "../../backend-api/display.ts";
import { seededRandom } from "../../device-api/testing.ts";
import type { Frame } from "../frame.ts";
import { SharedScreen } from "../shared-screen.ts";
import { RfbConnection, type RfbOptions } from "./connection.ts";
import { RfbTestClient, rgb32, rgbOf, TestDeflate, type TestFormat, TestScreen, TestTimer } from "./testing.ts";
import { vncResponse } from "./vnc-authentication.ts";

function encrypt(key: Uint8Array, data: Uint8Array): Uint8Array {
  const cipher = createCipheriv("des-ede3-ecb", Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

class Bench {
  readonly timer = new TestTimer();
  readonly source: TestScreen;
  readonly screen: SharedScreen;
  readonly typed: string[] = [];
  readonly closed: (string | undefined)[] = [];

  constructor(width = 200, height = 120) {
    this.source = new TestScreen(width, height);
    this.screen = new SharedScreen(this.source, this.timer);
  }

  connect(options: Partial<RfbOptions> = {}): {
    client: RfbTestClient;
    connection: RfbConnection;
    sent: { unread: number; isStalled: boolean };
  } {
    const sent = { unread: 0, isStalled: false };
    const client: RfbTestClient = new RfbTestClient((bytes) => setImmediate(() => connection.receive(bytes)));
    const connection = new RfbConnection({
      name: "a machine",
      security: { kind: "none" },
      screen: this.screen,
      input: {
        key: (code, isDown) => this.typed.push(`${code.toString(16)}${isDown ? "↓" : "↑"}`),
        keysym: (sym, isDown) => this.typed.push(`sym ${sym.toString(16)}${isDown ? "↓" : "↑"}`),
        pointer: (x, y, buttons) => this.typed.push(`${x},${y},${buttons}`),
        release: () => this.typed.push("released"),
      },
      transport: {
        send: (bytes) => {
          sent.unread += bytes.length;
          if (!sent.isStalled) {
            sent.unread = 0;
            setImmediate(() => client.receive(bytes));
          }
        },
        get unsentBytes() {
          return sent.unread;
        },
        close: () => setImmediate(() => client.end()),
      },
      createDeflate: (level) => new TestDeflate(level),
      onClosed: (reason) => this.closed.push(reason),
      ...options,
    });
    return { client, connection, sent };
  }

  /** A client past the handshake. */
  async viewer(...encodings: number[]) {
    const all = this.connect();
    await all.client.handshake();
    if (encodings.length > 0) all.client.setEncodings(...encodings);
    return all;
  }

  isShown(client: RfbTestClient): boolean {
    return Buffer.compare(client.rgb, rgbOf(this.source.frame)) === 0;
  }
}

/** Streams in the middle of their work are closed when it is done. */
afterEach(async () => {
  for (let tries = 0; TestDeflate.open > 0 && tries < 2000; tries++) await new Promise((r) => setTimeout(r, 5));
  expect(TestDeflate.open).toBe(0);
});

function paintEach(pixels: Int32Array, color: (i: number) => number): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = color(i);
}

/** Pictures of the kinds that encoders treat differently. */
const random = seededRandom(5);
const painters: Record<string, (frame: Frame) => void> = {
  "one colour": ({ pixels }) => pixels.fill(0x336699),
  "two colours": ({ pixels }) => paintEach(pixels, (i) => (i % 7 < 3 ? 0xffffff : 0)),
  "a console's text": ({ pixels, widthPixels }) =>
    paintEach(pixels, (i) => (((i >> 2) ^ Math.floor(i / widthPixels)) % 5 === 0 ? 0xaaaaaa : 0x000080)),
  "forty colours": ({ pixels }) => paintEach(pixels, (i) => ((i * i) % 40) * 0x050709),
  "long runs of many colours": ({ pixels }) => paintEach(pixels, (i) => Math.floor(i / 300) * 0x01_0301),
  noise: ({ pixels }) => paintEach(pixels, () => random(0x1000000)),
  "noise in the dark": ({ pixels }) => paintEach(pixels, () => random(3) * 0x10),
};

const formats: Record<string, TestFormat> = {
  "32 bits": rgb32,
  "32 bits, blue lowest": { ...rgb32, shift: [16, 8, 0] },
  "32 bits, high bytes, big-endian": { ...rgb32, isBigEndian: true, shift: [24, 16, 8] },
  "32 bits of depth 32": { ...rgb32, depth: 32 },
  "16 bits": { bits: 16, depth: 16, isBigEndian: false, max: [31, 63, 31], shift: [11, 5, 0] },
  "15 bits, big-endian": { bits: 16, depth: 15, isBigEndian: true, max: [31, 31, 31], shift: [10, 5, 0] },
  "8 bits": { bits: 8, depth: 8, isBigEndian: false, max: [7, 7, 3], shift: [0, 3, 6] },
  "a colour map": { bits: 8, depth: 8, isBigEndian: false, isMapped: true, max: [7, 7, 3], shift: [0, 3, 6] },
};

/** What is left of a colour in a format. */
function reduced(rgb: Uint8Array, { max }: TestFormat): Uint8Array {
  return rgb.map((value, i) => Math.round((Math.round((value * max[i % 3]) / 255) * 255) / max[i % 3]));
}

describe.each([
  ["Raw", 0],
  ["Hextile", 5],
  ["Tight", 7],
  ["ZRLE", 16],
])("%s", (_, encoding) => {
  test.each(Object.keys(formats))("every kind of picture, %s", async (name) => {
    const format = formats[name];
    const bench = new Bench(150, 83);
    const { client, connection } = await bench.viewer(encoding);
    if (format !== rgb32) client.setFormat(format);
    for (const paint of Object.values(painters)) {
      bench.source.paint(paint);
      await bench.timer.advance(150);
      await client.refresh();
      while (Buffer.compare(client.rgb, reduced(rgbOf(bench.source.frame), format)) !== 0) {
        client.request(true);
        await bench.timer.advance(120);
        await client.update();
      }
    }
    expect([...client.rects.keys()]).toEqual([encoding]);
    connection.close();
  });

  test("small changes in random places, one after another", async () => {
    const bench = new Bench(300, 200);
    const { client, connection } = await bench.viewer(encoding);
    await client.refresh();
    for (let round = 0; round < 60; round++) {
      bench.source.paint(({ pixels, widthPixels, heightPixels }) => {
        for (let i = random(4); i >= 0; i--) {
          const [x, y, w, h] = [random(widthPixels), random(heightPixels), random(60), random(40)];
          const color = random(0x1000000);
          for (let row = y; row < Math.min(heightPixels, y + h + 1); row++)
            pixels.fill(color, row * widthPixels + x, row * widthPixels + Math.min(widthPixels, x + w + 1));
        }
      });
      client.request(true);
      const update = client.update();
      await bench.timer.advance(130);
      await update;
      expect(bench.isShown(client)).toBe(true);
    }
    connection.close();
  });
});

test("what scrolls is copied, and little else is sent", async () => {
  const bench = new Bench(320, 240);
  const lines = (from: number) => (frame: Frame) => {
    const noise = seededRandom(77);
    const text = Array.from({ length: 600 }, () => Array.from({ length: 320 }, () => noise(2) * 0xffffff));
    paintEach(frame.pixels, (i) => text[from + Math.floor(i / 320)][i % 320]);
  };
  bench.source.paint(lines(0));
  const { client, connection } = await bench.viewer(1, 0);
  await client.refresh();
  for (const from of [16, 32, 24, 100]) {
    bench.source.paint(lines(from));
    const before = client.bytesReceived;
    client.request(true);
    const update = client.update();
    await bench.timer.advance(130);
    await update;
    expect(bench.isShown(client)).toBe(true);
    expect(client.bytesReceived - before).toBeLessThan(320 * 4 * 16 * 7);
  }
  expect(client.rects.get(1)).toBe(4);
  connection.close();
});

test("an unchanged screen sends nothing and is looked at ten times a second; nobody watching, never", async () => {
  const bench = new Bench();
  const { client, connection } = await bench.viewer(16);
  await client.refresh();
  client.request(true);
  await bench.timer.advance(2000);
  const { bytesReceived } = client;
  const { looks } = bench.source;
  await bench.timer.advance(10_000);
  expect(client.bytesReceived).toBe(bytesReceived);
  expect(bench.source.looks - looks).toBeLessThanOrEqual(100);
  connection.close();
  const atEnd = bench.source.looks;
  await bench.timer.advance(1000);
  expect(bench.source.looks).toBe(atEnd);
  expect(bench.timer.armed).toBe(0);
});

test("a blinking cursor does not make the looks more frequent; a moving picture does", async () => {
  const bench = new Bench();
  const { client, connection } = await bench.viewer(0, -313);
  client.request(false);
  client.continuous(true);
  const looksOf = async (change: (frame: Frame, i: number) => void) => {
    await bench.timer.advance(2000);
    const { looks } = bench.source;
    for (let i = 0; i < 20; i++) {
      bench.source.paint((frame) => change(frame, i));
      await bench.timer.advance(100);
    }
    return bench.source.looks - looks;
  };
  expect(await looksOf(({ pixels }, i) => (pixels[500] = i))).toBeLessThanOrEqual(21);
  expect(await looksOf(({ pixels }, i) => pixels.fill(i))).toBeGreaterThan(50);
  connection.close();
});

test("after a key the screen is looked at soon and often", async () => {
  const bench = new Bench();
  const { client, connection } = await bench.viewer(16);
  await client.refresh();
  client.request(true);
  await bench.timer.advance(3000);
  const { looks } = bench.source;
  client.key(0x61, true);
  await bench.timer.advance(60);
  expect(bench.source.looks - looks).toBeGreaterThan(5);
  connection.close();
});

test("a viewer that does not read gets the newest picture when it does, and costs one update meanwhile", async () => {
  const bench = new Bench();
  const { client, connection, sent } = await bench.viewer(0, -313, -312);
  client.continuous(true);
  await client.refresh();
  sent.isStalled = true;
  let most = 0;
  for (let i = 1; i <= 50; i++) {
    bench.source.paint(({ pixels }) => pixels.fill(i * 1000));
    await bench.timer.advance(40);
    most = Math.max(most, sent.unread);
  }
  expect(most).toBeLessThan(200 * 120 * 4 + 100);
  connection.close();
});

test("continuous updates come unasked, at most three ahead of the client's fences", async () => {
  const bench = new Bench();
  const { client, connection } = await bench.viewer(0, -313, -312);
  client.request(false);
  client.continuous(true);
  await client.update();
  expect(client.isContinuousOffered).toBe(true);
  client.answersFences = false;
  const reading = (async () => {
    for (;;) await client.message();
  })();
  reading.catch(() => {});
  await bench.timer.advance(50);
  const { updates } = client;
  for (let i = 1; i <= 20; i++) {
    bench.source.paint(({ pixels }) => pixels.fill(i * 1000));
    await bench.timer.advance(40);
  }
  expect(client.updates - updates).toBeLessThanOrEqual(3);
  expect(client.updates - updates).toBeGreaterThan(0);
  connection.close();
});

test("a new size reaches every kind of client", async () => {
  const bench = new Bench(200, 120);
  const extended = await bench.viewer(0, -308);
  const simple = await bench.viewer(0, -223);
  const fixed = await bench.viewer(0);
  for (const { client } of [extended, simple, fixed]) await client.refresh();
  expect(extended.client.sizes).toEqual([[0, 0]]);
  bench.source.resize(320, 200);
  bench.source.paint(painters.noise);
  for (const { client } of [extended, simple, fixed]) client.request(true);
  await bench.timer.advance(200);
  for (const { client } of [extended, simple]) {
    await client.update();
    expect([client.width, client.height]).toEqual([320, 200]);
    await client.refresh(true);
    expect(bench.isShown(client)).toBe(true);
  }
  await fixed.client.update();
  expect([fixed.client.width, fixed.client.height]).toEqual([200, 120]);
  expect(fixed.client.rgb.subarray(0, 600)).toEqual(rgbOf(bench.source.frame).subarray(0, 600));
  extended.client.setDesktopSize(1024, 768);
  extended.client.request(true);
  await extended.client.update();
  expect(extended.client.sizes.at(-1)).toEqual([1, 1]);
  for (const { connection } of [extended, simple, fixed]) connection.close();
});

test("keys by place, keys by meaning, the pointer, the lights", async () => {
  const bench = new Bench();
  const { client, connection } = await bench.viewer(0, -258, -261);
  await client.refresh();
  expect(client.hasKeyExtension).toBe(true);
  expect(client.leds).toBe(0);
  client.scancode(0x1e, true, 0x61);
  client.scancode(0x9d, false, 0xffe4);
  client.scancode(0, true, 0x20ac);
  client.key(0x61, true);
  client.pointer(10, 20, 1);
  client.pointer(5000, 5000, 0);
  bench.source.leds = 2;
  client.request(true);
  const update = client.update();
  await bench.timer.advance(150);
  await update;
  expect(client.leds).toBe(2);
  expect(bench.typed).toEqual(["1e↓", "9d↑", "sym 20ac↓", "sym 61↓", "10,20,1", "199,119,0"]);
  connection.close();
  expect(bench.typed.at(-1)).toBe("released");
});

test("the guest's pointer: shape and point, hidden, and a dot when the guest draws its own again", async () => {
  const bench = new Bench();
  const { client, connection } = await bench.viewer(0, -239);
  await client.refresh();
  expect(client.cursor).toBeUndefined();
  const shown = async (pointer: PointerShape | undefined) => {
    bench.source.pointer = pointer;
    client.request(true);
    const update = client.update();
    await bench.timer.advance(150);
    await update;
    return client.cursor;
  };
  const shape = {
    isVisible: true,
    widthPixels: 9,
    heightPixels: 2,
    hotX: 3,
    hotY: 1,
    rgba: new Uint8Array(72).map((_, i) => (i % 4 === 3 ? (i < 36 ? 255 : 127) : i)),
  };
  const cursor = await shown(shape);
  expect(cursor).toMatchObject({ width: 9, height: 2, hotX: 3, hotY: 1 });
  expect(cursor?.rgb[8]).toEqual([32, 33, 34]);
  expect(cursor?.isSolid).toEqual(Array.from({ length: 18 }, (_, i) => i < 9));
  // A viewer that comes later gets it, too; one that has not asked does not.
  const second = await bench.viewer(0, -239);
  await second.client.refresh();
  expect(second.client.cursor).toEqual(cursor);
  const third = await bench.viewer(0);
  await third.client.refresh();
  expect(third.client.cursor).toBeUndefined();
  expect(await shown({ ...shape, isVisible: false })).toMatchObject({ width: 0, height: 0 });
  expect(await shown(undefined)).toMatchObject({ width: 3, height: 3, hotX: 1, hotY: 1 });
  for (const one of [connection, second.connection, third.connection]) one.close();
});

test("two viewers see the same", async () => {
  const bench = new Bench();
  const one = await bench.viewer(16);
  const two = await bench.viewer(7, 1);
  for (const { client } of [one, two]) await client.refresh();
  bench.source.paint(painters["forty colours"]);
  for (const { client } of [one, two]) client.request(true);
  await bench.timer.advance(150);
  for (const { client } of [one, two]) {
    await client.update();
    expect(bench.isShown(client)).toBe(true);
  }
  one.connection.close();
  two.connection.close();
});

describe("authentication", () => {
  const challenge = Uint8Array.from({ length: 16 }, (_, i) => i * 11);
  const security = { kind: "vnc", password: "geheim", challenge, encrypt } as const;

  test("known answer: DES with the bits of the password's bytes reversed", () => {
    // From DES's definition: key 01 01 … is the zero key; all-zero plain text gives 8CA64DE9C1B123A7.
    const answer = vncResponse("", new Uint8Array(16), encrypt);
    expect(Buffer.from(answer).toString("hex")).toBe("8ca64de9c1b123a7".repeat(2));
    expect(vncResponse("12345678 and more", challenge, encrypt)).toEqual(vncResponse("12345678", challenge, encrypt));
  });

  test.each([8, 7, 3])("the right password lets in, version 3.%i", async (minor) => {
    const bench = new Bench();
    const { client, connection } = bench.connect({ security });
    await client.handshake((given) => vncResponse("geheim", given, encrypt), true, minor);
    expect(client.name).toBe("a machine");
    connection.close();
  });

  test("a wrong one gets nothing and nothing is looked at", async () => {
    const bench = new Bench();
    const { client, connection } = bench.connect({ security });
    await expect(client.handshake((given) => vncResponse("Geheim", given, encrypt))).rejects.toThrow("Wrong password");
    expect(connection.hasFailedAuthentication).toBe(true);
    expect(connection.isClosed).toBe(true);
    expect(bench.source.looks).toBe(0);
    connection.receive(Uint8Array.of(1, 3, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff));
    expect(client.bytesReceived).toBeLessThan(70);
  });

  test("the right one, when nobody may come in now, is told why", async () => {
    const bench = new Bench();
    const refusal = () => "Another viewer is connected";
    const { client, connection } = bench.connect({ security: { ...security, refusal } });
    await expect(client.handshake((given) => vncResponse("geheim", given, encrypt))).rejects.toThrow(refusal());
    expect(connection.hasFailedAuthentication).toBe(false);
    expect(connection.isClosed).toBe(true);
    expect(bench.source.looks).toBe(0);
  });

  test("asking for no security where a password is set ends the connection", () => {
    const bench = new Bench();
    const { connection } = bench.connect({ security });
    connection.receive(Buffer.from("RFB 003.008\n\u0001\u0001"));
    expect(connection.isClosed).toBe(true);
    expect(bench.source.looks).toBe(0);
  });
});

test("twenty viewers come and go: nothing is left of them", async () => {
  const bench = new Bench();
  for (let i = 0; i < 20; i++) {
    const { client, connection } = await bench.viewer([0, 5, 7, 16][i % 4], -313, -312);
    client.continuous(true);
    await client.refresh();
    bench.source.paint(painters.noise);
    if (i % 2 === 0) await bench.timer.advance(20);
    // In the middle of an update or not.
    connection.close();
    expect(connection.isClosed).toBe(true);
  }
  await bench.timer.advance(50);
  expect(bench.screen.viewers).toBe(0);
  expect(bench.timer.armed).toBe(0);
  expect(bench.closed.length).toBe(20);
});

test("clients that send rubbish lose their connection and nothing else", async () => {
  const bench = new Bench();
  const noise = seededRandom(31);
  const types = [0, 1, 2, 3, 4, 5, 6, 150, 248, 250, 251, 255];
  let survivors = 0;
  for (let round = 0; round < 300; round++) {
    const { connection } = await bench.viewer(16);
    for (let i = 0; i < 40 && !connection.isClosed; i++) {
      const bytes = Uint8Array.from({ length: 1 + noise(60) }, () => (noise(3) === 0 ? noise(256) : 0));
      if (noise(8) !== 0) bytes[0] = types[noise(types.length)];
      connection.receive(bytes);
    }
    if (!connection.isClosed) survivors++;
    await bench.timer.advance(2);
    connection.close();
  }
  for (let round = 0; round < 200; round++) {
    const { connection } = bench.connect();
    connection.receive(Uint8Array.from({ length: noise(100) }, () => noise(256)));
    connection.receive(Buffer.from("RFB 003.008\n\u0001"));
    connection.close();
  }
  await bench.timer.advance(50);
  expect(survivors).toBeGreaterThan(10);
  expect(bench.screen.viewers).toBe(0);
});

test("a client that asks for answers and reads none is cut off", async () => {
  const bench = new Bench();
  const { connection, sent } = await bench.viewer(0, -312);
  sent.isStalled = true;
  const fence = Buffer.alloc(9 + 64);
  fence.set([248, 0, 0, 0, 0x80, 0, 0, 0, 64]);
  for (let i = 0; i < 100_000 && !connection.isClosed; i++) connection.receive(fence);
  expect(connection.isClosed).toBe(true);
  expect(sent.unread).toBeLessThan(2 << 20);
});
