import { expect, test } from "vitest";
import { RingAudioBackend, SoundHost } from "./sound-ring.ts";

const soon = () => new Promise((done) => setTimeout(done, 20));

test("listeners get rate and samples; nobody listening costs nothing and leaves nothing behind", async () => {
  const host = new SoundHost();
  const card = new RingAudioBackend(host.buffers);
  card.play(Int16Array.of(9, 9), 8000);
  const heard: number[][] = [];
  const hear = (packet: Uint8Array) => {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
    const samples = Array.from({ length: (packet.length - 4) / 2 }, (_, i) => view.getInt16(4 + i * 2, true));
    heard.push([view.getUint32(0, true), ...samples]);
  };
  const stop = host.listen(hear);
  card.play(Int16Array.of(1, -2, 32767, -32768), 44100);
  await soon();
  expect(heard).toEqual([[44100, 1, -2, 32767, -32768]]);
  // More than a packet holds.
  const long = Int16Array.from({ length: 5000 }, (_, i) => i);
  card.play(long, 48000);
  await soon();
  expect(heard.slice(1).flatMap(([, ...samples]) => samples)).toEqual([...long]);
  stop();
  card.play(Int16Array.of(7, 7), 48000);
  await soon();
  heard.length = 0;
  host.listen(hear);
  card.play(Int16Array.of(5, 6), 22050);
  await soon();
  expect(heard).toEqual([[22050, 5, 6]]);
});

test("a listener that does not come loses packets, and the card never waits", async () => {
  const host = new SoundHost();
  const card = new RingAudioBackend(host.buffers);
  let packets = 0;
  host.listen(() => packets++);
  for (let i = 0; i < 1000; i++) card.play(new Int16Array(2048), 48000);
  await soon();
  expect(packets).toBeGreaterThan(50);
  expect(packets).toBeLessThan(70);
});
