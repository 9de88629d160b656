/**
 * The whole story: Debian 12 for i386 is installed without a person at the keyboard, from the network installer's CD over NAT on to an
 * empty VDI, starts from that disk, lets somebody log in, and takes ssh from the host through a forwarded port. Packages come
 * from Debian's archive through a proxy on the host's loopback. Afterwards qemu-img and e2fsck judge what is on the disk.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { debianNetboot, debianNetbootIso } from "../../scripts/media/debian-netboot.ts";
import { installationTools } from "../../scripts/media/installation-tools.ts";
import { createVdi } from "../../src/disk/create.ts";
import { RunGuest } from "../guests/run-guest.ts";
import { freePort, startAptProxy } from "./apt-proxy.ts";
import { report, secondsSince } from "./figures.ts";
import { bootLine, INSTALLED, installScript, NOT_INSTALLED, preseed, type Unattended } from "./unattended.ts";

/** The installation alone; on a busy machine it has taken three quarters of an hour. */
const PATIENCE_MS = 3 * 3_600_000;
const DISK_BYTES = 4 * 2 ** 30;
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** Serves answers, script and tools; the address as the guest sees it. */
async function serve(files: () => ReadonlyMap<string, string | Uint8Array>): Promise<string> {
  const server = createServer((request, response) => {
    const content = files().get(request.url?.split("?")[0] ?? "");
    if (content === undefined) response.statusCode = 404;
    response.end(content);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  return `10.0.2.2:${(server.address() as AddressInfo).port}`;
}

test(
  "unattended installation, start from the disk, login, ssh through a forwarded port",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "anneau-installation-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const [media, tools] = [await debianNetboot(), await installationTools()];
    const key = join(folder, "key");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key]);
    const files = new Map<string, string | Uint8Array>();
    const webAddress = await serve(() => files);
    const unattended: Unattended = {
      webAddress,
      proxyAddress: `10.0.2.2:${await startAptProxy()}`,
      hostName: "ring",
      user: "person",
      password: "anneau",
      publicKey: readFileSync(`${key}.pub`, "utf8").trim(),
    };
    files.set("/preseed.cfg", preseed(unattended));
    files.set("/install.sh", installScript(unattended));
    files.set("/tools.tar.gz", readFileSync(join(tools, "tools.tar.gz")));

    const disk = join(folder, "disk.vdi");
    createVdi(disk, { sizeBytes: DISK_BYTES, variant: "Standard" });
    const sshPort = await freePort();
    const startMs = performance.now();
    const guest = new RunGuest(
      ...["--engine=translator", "--memory=512", "--statistics", `--disk=${disk}`, "--boot=cd"],
      `--cdrom=${join(media, debianNetbootIso)}`,
      `--nic=82540EM,host-loopback,forward=tcp:${sshPort}:22`,
    );
    await guest.says("boot:");
    guest.type(`${bootLine(webAddress)}\n`);
    const ending = await guest.says(new RegExp(`${INSTALLED} after|${NOT_INSTALLED}[^\\n]*`), PATIENCE_MS);
    expect(guest.said, ending.slice(-3000)).not.toContain(NOT_INSTALLED);
    const installationSeconds = secondsSince(startMs);

    // The same machine, started anew: the disk comes first and has something now.
    await guest.says("ring login: ", PATIENCE_MS);
    const bootSeconds = secondsSince(startMs) - installationSeconds;
    guest.type("root\n");
    await guest.says("Password: ");
    guest.type("anneau\n");
    await guest.says("root@ring:~# ");
    expect(await guest.shell("uname -m; cat /etc/debian_version; findmnt -no SOURCE,FSTYPE /")).toMatch(
      /i686\n12\.\d+\n\/dev\/sda1 +ext4\n/,
    );
    expect(await guest.shell("systemctl is-system-running --wait")).toContain("running\n");
    expect(
      await guest.shell("dpkg --audit; apt-get -q update > /dev/null; apt-get check 2>&1 | tail -1; free -m"),
    ).toMatch(/Mem: +4\d\d/);

    const ssh = ["-i", key, "-p", String(sshPort), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"];
    ssh.push("-o", `UserKnownHostsFile=${join(folder, "known")}`, "-o", "ConnectTimeout=120", "person@127.0.0.1");
    const overSsh = (command: string, input?: Uint8Array) => {
      const outcome = spawnSync("ssh", [...ssh, command], { input, maxBuffer: 64 << 20, timeout: 600_000 });
      expect(outcome.status, outcome.stderr.toString()).toBe(0);
      return outcome.stdout;
    };
    const sshMs = performance.now();
    expect(overSsh("id -un; uname -sm").toString()).toBe("person\nLinux i686\n");
    const loginSeconds = secondsSince(sshMs);
    const load = randomBytes(10 << 20);
    expect(overSsh("cat > load; sha256sum < load", load).toString()).toContain(
      createHash("sha256").update(load).digest("hex"),
    );
    expect(overSsh("cat load").equals(load)).toBe(true);

    guest.type("poweroff\n");
    await guest.says("reboot: Power down");
    expect(await guest.exited, guest.errors).toBe(0);
    const statistic = (name: string) => Number(new RegExp(`^${name}=(\\S+)$`, "m").exec(guest.errors)?.[1]);
    report("installation", {
      installationSeconds,
      bootSeconds,
      loginSeconds,
      cpuSeconds: Math.round(statistic("cpuSeconds")),
      instructionsG: Math.round(statistic("instructions") / 1e9),
      mips: statistic("mips"),
      peakRssMiB: statistic("peakRssMiB"),
      diskMiB: Math.round(statSync(disk).size / 2 ** 20),
    });
    expectSoundDisk(disk, folder);
  },
  2 * PATIENCE_MS,
);

function expectSoundDisk(disk: string, folder: string): void {
  expect(execFileSync("qemu-img", ["check", "-f", "vdi", disk], { encoding: "utf8" })).toContain("No errors");
  const raw = join(folder, "disk.raw");
  execFileSync("qemu-img", ["convert", "-f", "vdi", "-O", "raw", disk, raw]);
  const record = Buffer.alloc(512);
  const fd = openSync(raw, "r");
  readSync(fd, record);
  closeSync(fd);
  const offsetBytes = record.readUInt32LE(446 + 8) * 512;
  const checked = spawnSync("e2fsck", ["-fn", `${raw}?offset=${offsetBytes}`], { env, encoding: "utf8" });
  expect(checked.status, checked.stdout + checked.stderr).toBe(0);
}

test(
  "a script that fails says where, and no system comes of it",
  async () => {
    const files = new Map<string, string | Uint8Array>();
    const webAddress = await serve(() => files);
    const unattended: Unattended = {
      ...{
        webAddress,
        proxyAddress: "10.0.2.2:9",
        hostName: "ring",
        user: "person",
        password: "anneau",
        publicKey: "",
      },
    };
    files.set("/preseed.cfg", preseed(unattended));
    files.set("/install.sh", installScript(unattended));
    const guest = new RunGuest(
      ...["--engine=translator", "--memory=512", `--cdrom=${join(await debianNetboot(), debianNetbootIso)}`],
      "--nic=82540EM,host-loopback",
    );
    await guest.says("boot:");
    guest.type(`${bootLine(webAddress)}\n`);
    await guest.says(`${NOT_INSTALLED} at tools`, PATIENCE_MS);
  },
  PATIENCE_MS,
);
