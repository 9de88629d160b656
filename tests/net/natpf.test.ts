/** Port forwarding of a VM that runs, as VBoxManage's clients change it. The machine has no system: the host's ports tell. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { Sandbox } from "../cli/sandbox.ts";

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Whether somebody accepts connections there. */
async function isServed(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const isOpen = await new Promise<boolean>((done) => {
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
  socket.destroy();
  return isOpen;
}

test("rules of the settings, and added and deleted while the VM runs", async () => {
  const box = new Sandbox();
  box.ok("createvm", "--name", "vm", "--register");
  box.ok("modifyvm", "vm", "--memory", "32", "--nic1", "nat", "--nictype1", "Am79C973", "--nic2", "none");
  const [settled, live, taken] = [await freePort(), await freePort(), await freePort()];
  box.ok("modifyvm", "vm", "--natpf1", `web,tcp,127.0.0.1,${settled},,80`);
  const busy = createServer();
  busy.listen(taken, "127.0.0.1");
  await once(busy, "listening");
  box.ok("modifyvm", "vm", "--natpf1", `busy,tcp,127.0.0.1,${taken},,81`);
  box.ok("startvm", "vm", "--type", "headless");
  expect(await isServed(settled)).toBe(true);
  // A port that somebody else has is no reason not to start.
  const log = readFileSync(box.path("VirtualBox VMs/vm/Logs/VBox.log"), "utf8");
  expect(log).toContain(`NAT rule 'busy': tcp port ${taken} of 127.0.0.1 of the host cannot be had: EADDRINUSE`);

  expect(await isServed(live)).toBe(false);
  const silent = { stdout: "", stderr: "", code: 0 };
  expect(box.vboxManage("controlvm", "vm", "natpf1", `ssh,tcp,127.0.0.1,${live},,22`)).toEqual(silent);
  expect(await isServed(live)).toBe(true);
  const forwarded = () => box.ok("showvminfo", "vm", "--machinereadable").match(/^Forwarding.*$/gm);
  expect(forwarded()).toEqual([
    `Forwarding(0)="web,tcp,127.0.0.1,${settled},,80"`,
    `Forwarding(1)="busy,tcp,127.0.0.1,${taken},,81"`,
    `Forwarding(2)="ssh,tcp,127.0.0.1,${live},,22"`,
  ]);

  const refused = (...args: string[]) => {
    const { code, stderr } = box.vboxManage("controlvm", "vm", ...args);
    return [code, stderr.split("\n")[0]];
  };
  expect(refused("natpf1", "ssh,tcp,127.0.0.1,1,,22")).toEqual([
    1,
    "VBoxManage: error: A NAT rule of this name already exists",
  ]);
  expect(refused("natpf1", `other,tcp,127.0.0.1,${live},,22`)).toEqual([
    1,
    "VBoxManage: error: A NAT rule for this host port and this host IP already exists",
  ]);
  busy.close();
  const blocker = createServer();
  blocker.listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  expect(refused("natpf1", `late,tcp,127.0.0.1,${port},,22`)).toEqual([
    1,
    `VBoxManage: error: NAT rule 'late': tcp port ${port} of 127.0.0.1 of the host cannot be had: EADDRINUSE`,
  ]);
  blocker.close();
  expect(refused("natpf1", "delete", "nobody")).toEqual([1, "VBoxManage: error: No NAT rule named 'nobody' exists"]);
  expect(refused("natpf1", "nonsense")[0]).toBe(1);
  expect(refused("natpf9", "delete", "ssh")[0]).toBe(1);
  expect(refused("natpf1")[0]).toBe(2);
  // What was refused is not stored.
  expect(forwarded()?.length).toBe(3);

  // Without a name one is made up, also for UDP.
  expect(box.vboxManage("controlvm", "vm", "natpf1", `,udp,127.0.0.1,${live},,53`)).toEqual(silent);
  expect(forwarded()?.at(-1)).toBe(`Forwarding(3)="udp_${live}_53,udp,127.0.0.1,${live},,53"`);
  // An adapter that is not there: for the next start.
  expect(box.vboxManage("controlvm", "vm", "natpf2", "later,tcp,,8080,,80")).toEqual(silent);

  for (const name of ["ssh", "web", "busy", `udp_${live}_53`])
    expect(box.vboxManage("controlvm", "vm", "natpf1", "delete", name)).toEqual(silent);
  expect([await isServed(live), await isServed(settled), forwarded()]).toEqual([false, false, null]);
  box.ok("controlvm", "vm", "natpf1", `again,tcp,127.0.0.1,${live},,22`);
  box.ok("controlvm", "vm", "poweroff");
  expect(await isServed(live)).toBe(false);
  expect(forwarded()).toEqual([`Forwarding(0)="again,tcp,127.0.0.1,${live},,22"`]);
});
