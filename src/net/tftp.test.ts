import { expect, test } from "vitest";
import { ip, pattern, TestGuest, type TestGuestOptions } from "./testing/guest.ts";
import { seededRandom } from "./testing/simulation.ts";
import { cleanPath } from "./tftp.ts";

const TFTP = ip("10.0.2.4");

function request(name: string, options: Record<string, string> = {}, mode = "octet", operation = 1): Uint8Array {
  const texts = [name, mode, ...Object.entries(options).flat()];
  return Uint8Array.from([0, operation, ...new TextEncoder().encode(texts.map((one) => `${one}\0`).join(""))]);
}

/** Fetches a file as a boot ROM does: acknowledges each block, asks again when nothing comes. */
async function fetchFile(
  guest: TestGuest,
  name: string,
  options: Record<string, string> = {},
  mode = "octet",
): Promise<{ data?: Uint8Array; error?: number; options: string[] }> {
  const port = 2000 + (guest.host.random32() % 50_000);
  const parts: Uint8Array[] = [];
  let block = 0;
  let blockBytes = 512;
  let agreed: string[] = [];
  let last: [number, Uint8Array] = [69, request(name, options, mode)];
  for (let tries = 0; tries < 30; ) {
    guest.sendUdp(port, TFTP, last[0], last[1]);
    guest.datagrams.length = 0;
    const found = () => guest.datagrams.find((one) => one.port === port);
    if (!(await guest.host.runAsync(700, () => found() !== undefined))) {
      tries++;
      continue;
    }
    const { data, sourcePort } = found()!;
    if (data[1] === 5) return { error: data[3], options: agreed };
    if (data[1] === 6) {
      agreed = new TextDecoder().decode(data.subarray(2)).split("\0").slice(0, -1);
      const size = agreed.indexOf("blksize");
      if (size >= 0) blockBytes = Number(agreed[size + 1]);
      last = [sourcePort, Uint8Array.of(0, 4, 0, 0)];
      continue;
    }
    const number = (data[2] << 8) | data[3];
    if (number === ((block + 1) & 0xffff)) {
      block++;
      tries = 0;
      parts.push(data.slice(4));
    }
    last = [sourcePort, Uint8Array.of(0, 4, data[2], data[3])];
    if (data.length < 4 + blockBytes) {
      guest.sendUdp(port, TFTP, ...last);
      await guest.host.runAsync(100);
      return { data: Buffer.concat(parts), options: agreed };
    }
  }
  return { options: agreed };
}

function guestWith(files: Record<string, Uint8Array>, options: TestGuestOptions = {}): TestGuest {
  const guest = new TestGuest(options);
  for (const [name, bytes] of Object.entries(files)) guest.host.files.set(name, bytes);
  guest.askFor(TFTP);
  guest.host.run(1000);
  return guest;
}

test("files of every awkward length arrive", async () => {
  for (const length of [0, 1, 511, 512, 513, 5120]) {
    const guest = guestWith({ "boot/file": pattern(length, length) });
    const { data } = await fetchFile(guest, "boot/file");
    expect(Buffer.compare(data!, pattern(length, length))).toBe(0);
  }
});

test("options: block size within the MTU, size of the file, time-out; unknown ones are passed over", async () => {
  const guest = guestWith({ file: pattern(10_000, 1) });
  const asked = { blksize: "1408", tsize: "0", timeout: "3", multicast: "" };
  const { data, options } = await fetchFile(guest, "file", asked);
  expect(options).toEqual(["blksize", "1408", "timeout", "3", "tsize", "10000"]);
  expect(Buffer.compare(data!, pattern(10_000, 1))).toBe(0);
  expect((await fetchFile(guest, "file", { BLKSIZE: "60000" })).options).toEqual(["blksize", "1468"]);
  expect((await fetchFile(guest, "file", { blksize: "7", timeout: "0" })).options).toEqual([]);
});

test("more than 65,535 blocks: the number goes round", async () => {
  const guest = guestWith({ file: pattern(8 * 66_000 + 3, 1) });
  const { data } = await fetchFile(guest, "file", { blksize: "8" });
  expect(Buffer.compare(data!, pattern(8 * 66_000 + 3, 1))).toBe(0);
});

test("lost packets are sent again", async () => {
  const guest = guestWith(
    { file: pattern(100_000, 1) },
    { faults: { lossPercent: 10, reorderPercent: 5, delayMs: 2 } },
  );
  const { data } = await fetchFile(guest, "file");
  expect(Buffer.compare(data!, pattern(100_000, 1))).toBe(0);
});

test("what is refused", async () => {
  const guest = guestWith({ file: pattern(100, 1) });
  expect((await fetchFile(guest, "missing")).error).toBe(1);
  expect((await fetchFile(guest, "../file")).error).toBe(2);
  expect((await fetchFile(guest, "file", {}, "netascii")).error).toBe(0);
  guest.datagrams.length = 0;
  guest.sendUdp(2000, TFTP, 69, request("file", {}, "octet", 2));
  guest.host.run(10);
  expect([...guest.datagrams[0].data.subarray(0, 4)]).toEqual([0, 5, 0, 2]);
  // A stranger's packet to a transfer's port, or one to a port where nothing is.
  guest.icmp.length = 0;
  guest.sendUdp(2000, TFTP, 50_000, Uint8Array.of(0, 4, 0, 1));
  guest.host.run(10);
  expect(guest.icmp.map(({ type, code }) => [type, code])).toEqual([[3, 3]]);
});

test("no name leaves the folder", () => {
  expect(cleanPath("/boot//./x.img")).toEqual(["boot", "x.img"]);
  expect(cleanPath("\\boot\\x.img")).toEqual(["boot", "x.img"]);
  for (const bad of ["..", "a/../../b", "..\\b", "a\\..\\b", "", "/", "c:\\x", "a\u0000b", "x".repeat(513)])
    expect(cleanPath(bad)).toBeUndefined();
});

test("a guest that goes silent, floods or sends nonsense leaves nothing behind", async () => {
  const guest = guestWith({ file: pattern(100_000, 1) });
  for (let i = 0; i < 1000; i++) guest.sendUdp(2000 + i, TFTP, 69, request("file"));
  await guest.host.runAsync(20);
  const ports = new Set(guest.datagrams.filter(({ data }) => data[1] === 3).map(({ sourcePort }) => sourcePort));
  expect(ports.size).toBe(64);
  const random = seededRandom(5);
  for (const port of ports) {
    const bytes = new Uint8Array(random() % 20).map(() => random() % 7);
    guest.sendUdp(2000 + (random() % 1000), TFTP, port, bytes);
    guest.sendUdp(2000, TFTP, 69, bytes);
  }
  await guest.host.runAsync(20_000);
  guest.datagrams.length = 0;
  expect((await fetchFile(guest, "file")).data?.length).toBe(100_000);
});
