import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { seededRandom } from "../device-api/testing.ts";
import { ControlError, connectToMachine } from "./client.ts";
import { type ControlHandlers, ControlServer } from "./server.ts";
import { socketPathOf } from "./socket-path.ts";

const path = socketPathOf(`test-${process.pid}`);
let server: ControlServer;
const typed: string[] = [];

const none = () => ({});
const handlers: ControlHandlers = {
  status: () => ({ state: "running", name: "t", sessionName: "headless", pid: 1, uptimeMs: 2 }),
  poweroff: none,
  reset: () => {
    throw new ControlError("no", "VBOX_E_INVALID_VM_STATE");
  },
  pause: () => new Promise(() => {}),
  resume: none,
  acpipowerbutton: none,
  acpisleepbutton: none,
  cpuexecutioncap: none,
  audioout: none,
  processpriority: none,
  keyboardputscancode: none,
  keyboardputstring: (params) => {
    typed.push((params as { text: string }).text);
    return {};
  },
  pointer: none,
  setvideomodehint: () => ({ isHeard: false }),
  screenshotpng: () => ({ png: "A".repeat(3_000_000) }),
  textscreen: () => null,
  console: () => ({ url: "http://127.0.0.1:1/x/" }),
  remotedisplay: none,
  statistics: none,
  registers: () => ({ text: "" }),
  counters: () => ({ counters: {} }),
  registerset: () => ({ registers: {} }),
  dumpcore: none,
  injectnmi: none,
  info: () => ({ text: "" }),
  metrics: () => ({ periodSeconds: 1, samples: 1, isEnabled: true, values: {} }),
  metricssetup: none,
  metricsswitch: none,
  natpf: none,
  adapter: none,
  mediumchange: none,
};

beforeEach(async () => {
  typed.length = 0;
  server = await ControlServer.listen(path, handlers);
});
afterEach(() => server.close());

test("requests get their answers, several at a time, large ones too", async () => {
  const client = await connectToMachine(path);
  const [status, picture] = await Promise.all([client.request("status", {}), client.request("screenshotpng", {})]);
  expect(status.state).toBe("running");
  expect(picture.png?.length).toBe(3_000_000);
  await client.request("keyboardputstring", { text: "root\n\u20ac" });
  expect(typed).toEqual(["root\n\u20ac"]);
  client.close();
});

test("a refusal keeps its code, silence ends in a line", async () => {
  const client = await connectToMachine(path);
  await expect(client.request("reset", {})).rejects.toMatchObject({ message: "no", code: "VBOX_E_INVALID_VM_STATE" });
  await expect(client.request("pause", {}, 50)).rejects.toThrow(/does not answer 'pause'/);
  client.close();
});

test("only the owner can get at the socket, and it goes away with the server", async () => {
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(Buffer.byteLength(path)).toBeLessThan(100);
  await server.close();
  expect(existsSync(path)).toBe(false);
  await expect(connectToMachine(path)).rejects.toThrow(/no VM process answers/);
});

test("a client whose VM process ends is told", async () => {
  const client = await connectToMachine(path);
  const waiting = client.request("pause", {}, 0);
  waiting.catch(() => {});
  await server.close();
  await expect(waiting).rejects.toThrow(/gone/);
});

test("random bytes never stop the server", async () => {
  const random = seededRandom(9);
  for (let round = 0; round < 30; round++) {
    const socket = connect(path);
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    for (let i = 0; i < 20; i++) {
      const junk = Uint8Array.from({ length: random(200) }, () => (random(10) === 0 ? 10 : random(256)));
      socket.write(junk);
      socket.write(
        ['{"id":1}\n', '{"id":"x","name":"status"}\n', "[]\n", "null\n", '{"id":2,"name":"toString"}\n'][random(5)],
      );
    }
    socket.end();
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
  }
  const client = await connectToMachine(path);
  expect((await client.request("status", {})).state).toBe("running");
  client.close();
});

test("a request line without end is cut off", async () => {
  const socket = connect(path);
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  for (let i = 0; i < 40; i++) socket.write(Buffer.alloc(65536, 0x20));
  await closed;
});
