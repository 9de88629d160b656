/**
 * Booting from the network: PXE's memory, an address by DHCP, the boot file by TFTP to 0:7C00, and into it with the pointers that
 * PXE 2.1 (section 4.4.3) gives: ES:BX to PXENV+, !PXE's on the stack above the return address. A program that returns gives the
 * boot order its turn.
 */
import { print } from "../boot/guest-calls.ts";
import { storeCallRegisters } from "../call-block.ts";
import type { Directed, ServiceMemory } from "../directed.ts";
import { ROM_SEGMENT } from "../rom/system-rom.ts";
import type { ServiceContext } from "../service-context.ts";
import { bootOffer, configure } from "./dhcp.ts";
import { PXE_SEGMENT, PXENV_OFFSET } from "./pxe-memory.ts";
import { formatAddress } from "./stack.ts";
import { LARGEST_BLOCK, openFile, readBlock, tftpStatus } from "./tftp.ts";

const LOAD_ADDRESS = 0x7c00;
const LOAD_END = PXE_SEGMENT * 16;
const UUID_BYTES = 16;

/** Why a card could not be booted from; comes back too when its program ends. */
export function* bootNic(context: ServiceContext, memory: ServiceMemory, index: number): Directed<string> {
  const { bootNics, cpu, network } = context;
  const nic = bootNics[index];
  const title = `Network, ${nic.name}`;
  if (memory.input(() => (nic.isCableConnected ? 1 : 0)) === 0) return `${title}: the cable is not connected.`;
  const mac = [...nic.macAddress].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  yield* print(memory, `${title}, ${mac}\n`);
  memory.input(() => {
    const { labels } = context.rom;
    network.state.install(index, ROM_SEGMENT, { onStack: labels["pxe.stack"], inRegisters: labels["pxe.registers"] });
    nic.open();
    return 0;
  });
  const why = (yield* load(context, memory)) ?? (yield* enter(memory));
  memory.input(() => {
    network.state.release();
    nic.close();
    return cpu.mode === "real" ? 0 : 1;
  });
  return `${title}: ${why}`;
}

/** The boot file is in its place when this gives undefined. */
function* load(context: ServiceContext, memory: ServiceMemory): Directed<string | undefined> {
  const { network } = context;
  const { state } = network;
  if (!(yield* configure(memory, network, systemUuid(context.spec.uuid)))) return "no answer to DHCP.";
  const own = memory.input(() => state.get32("ownAddress"));
  const server = memory.input(() => state.get32("server"));
  const file = new TextDecoder().decode(memory.inputBytes(() => new TextEncoder().encode(bootOffer(state).file)));
  yield* print(
    memory,
    `  address ${formatAddress(own)}, boot server ${formatAddress(server)}, file ${file || "none"}\n`,
  );
  if (file === "") return "DHCP names no boot file.";
  const request = { server, gateway: 0, serverPort: 0, file, blockBytes: LARGEST_BLOCK };
  const opened = yield* openFile(memory, network, request);
  if (opened !== tftpStatus.success) return `${file}: ${describe(opened)}.`;
  let bytes = 0;
  for (let isLast = false; !isLast; ) {
    const target = LOAD_ADDRESS + bytes;
    const store = (linear: number, data: Uint8Array) => context.cpu.writeLinearBytes(linear, data);
    const block = yield* readBlock(memory, network, target, LOAD_END - target, store);
    if (block.status !== tftpStatus.success) return `${file}: ${describe(block.status)}.`;
    bytes += block.bytes;
    isLast = block.isLast;
    if (LOAD_ADDRESS + bytes > LOAD_END) return `${file} is too long.`;
  }
  if (bytes === 0) return `${file} is empty.`;
  yield* print(memory, `  ${bytes} bytes\n`);
  return undefined;
}

function* enter(memory: ServiceMemory): Directed<string> {
  storeCallRegisters(memory, { es: PXE_SEGMENT, ebx: PXENV_OFFSET });
  const pointer = { pointerSegment: PXE_SEGMENT, pointerOffset: 0 };
  yield { kind: "call-with-pointer", segment: 0, offset: LOAD_ADDRESS, ...pointer };
  return "its program has ended.";
}

/** SMBIOS's byte order: the first three groups least significant byte first. */
export function systemUuid(text: string): Uint8Array {
  const digits = text.replaceAll("-", "");
  const bytes = Uint8Array.from(
    { length: UUID_BYTES },
    (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16) || 0,
  );
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function describe(status: number): string {
  switch (status) {
    case tftpStatus.fileNotFound:
      return "the server has no such file";
    case tftpStatus.accessViolation:
      return "the server does not give it";
    case tftpStatus.noArp:
      return "nobody has the server's address";
    case tftpStatus.openTimeout:
    case tftpStatus.readTimeout:
      return "the server does not answer";
    default:
      return `the transfer failed (${status.toString(16).padStart(2, "0").toUpperCase()}h)`;
  }
}
