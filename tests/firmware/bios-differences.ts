/**
 * Where the answers of our BIOS differ from SeaBIOS' on our hardware and from QEMU's (SeaBIOS and its VGA BIOS), each line
 * with its reason. Everything else is equal.
 */

export type Witness = "SeaBIOS" | "QEMU";

export interface BiosDifference {
  /** Matches names of our lines. */
  readonly calls: RegExp;
  /** For each witness how many lines, and the first 8 digits of the SHA-256 of ours: nothing new hides here. */
  readonly lines: { readonly [witness in Witness]?: string };
  readonly because: string;
}

export const biosDifferences: readonly BiosDifference[] = [
  {
    calls: /^data area 471h–484h$/,
    lines: { SeaBIOS: "1 eaf5d845", QEMU: "1 eaf5d845" },
    because:
      "the AT's defaults of the parallel and serial time-outs (20, 1) stand in all eight places here; SeaBIOS sets those of ports that exist, and a control byte",
  },
  {
    calls: /^INT 13h AX=1500 DX=0000$/,
    lines: { SeaBIOS: "1 b573083c", QEMU: "1 b573083c" },
    because: "our floppy drive has a change line and says so (2)",
  },
  {
    calls: /^INT 13h AX=(0800|1500) DX=0080$/,
    lines: { SeaBIOS: "2 cfaa0698", QEMU: "2 cfaa0698" },
    because: "VirtualBox's BIOS counts every cylinder; SeaBIOS keeps the last one for diagnostics",
  },
  {
    calls: /^INT 13h AX=4100 BX=55AA DX=0080$|^INT 13h AX=4800 DX=0080 \((30|66) bytes\)$/,
    lines: { SeaBIOS: "3 f38f5e23", QEMU: "3 f38f5e23" },
    because:
      "no device parameter table extension here (bit 2 clear, pointer FFFF:FFFF, as VirtualBox may); SeaBIOS has one, and writes 1Eh for 42h bytes",
  },
  {
    calls: /^INT 13h AX=(1500|4100|4200|4800|4300|4B01|4501|4502)( BX=55AA)? DX=00E0( |$)/,
    lines: { SeaBIOS: "9 1372528a", QEMU: "9 1372528a" },
    because: "E0h is a drive only after a boot from CD, as on real PCs; SeaBIOS numbers all CD drives from E0h",
  },
  {
    calls: /^INT 13h AX=4B0[01]( CX=0001)? DX=008[0F]$/,
    lines: { SeaBIOS: "2 f96aa307", QEMU: "2 f96aa307" },
    because: "El Torito's functions fail without a booted CD; SeaBIOS answers with an empty packet for any drive",
  },
  {
    calls: /^INT 41h's table$/,
    lines: { SeaBIOS: "1 540c1134", QEMU: "1 540c1134" },
    because: "SeaBIOS sets bits 6 and 7 (retries off) of the control byte; bit 3, more than eight heads, is in both",
  },
  {
    calls: /^INT 13h AX=02[0-9A-F]{2} CX=(1401|0001|0000|0040|0002|5001|0013) DX=(0080|1080|0000|0200) BX=0400$/,
    lines: { SeaBIOS: "9 eebcdc3e", QEMU: "9 eebcdc3e" },
    because:
      "AL counts the sectors moved: 0. A floppy's track or sector that is not there is the controller's error (02h, 04h), the first read after a disk was put in is 06h; SeaBIOS checks against the format it expects",
  },
  {
    calls: /^INT 13h AX=(0402 CX=133F DX=0F80|0C00 CX=1401 DX=0080) BX=0400$/,
    lines: { SeaBIOS: "2 baf65497", QEMU: "2 baf65497" },
    because: "verify and seek reach the drive, beyond the end they fail; SeaBIOS does nothing and says yes",
  },
  {
    calls: /^INT 13h AX=4[24]00 DX=0080 \((1 from 20160|2 from 20159|beyond)\)$/,
    lines: { SeaBIOS: "3 cf90cb0e", QEMU: "3 cf90cb0e" },
    because: "beyond the end nothing is moved: 04h with count 0; SeaBIOS answers 01h, or asks the drive (0Ch)",
  },
  {
    calls: /^INT 13h AX=4200 DX=0080 \(a packet of 8 bytes\)$/,
    lines: { SeaBIOS: "1 a85984a3", QEMU: "1 a85984a3" },
    because: "a packet shorter than 10h is refused (EDD); SeaBIOS does not look",
  },
  {
    calls: /^INT 13h AX=1[678]\d\d CX=\w+ DX=0000 BX=0400$/,
    lines: { SeaBIOS: "4 f09fffa6", QEMU: "4 f09fffa6" },
    because: "the change line is asked, formats can be set; SeaBIOS says 'changed' always and has no 17h and 18h",
  },
  {
    calls: /^INT 15h AX=53\d\w$/,
    lines: { SeaBIOS: "3 77cf7512", QEMU: "3 77cf7512" },
    because: "AH is 0 on success; 530Eh gives a driver that names no version (CX = 0) 1.0. SeaBIOS leaves AX, and 1.2",
  },
  {
    calls: /^INT 15h AX=(8[0125]0\d|9[01]00)$/,
    lines: { SeaBIOS: "7 fa0d1f09", QEMU: "7 fa0d1f09" },
    because:
      "the AT's hooks for multitasking programs return 0 without doing anything; SeaBIOS has 90h and 91h, AH kept",
  },
  {
    calls: /^INT 15h AX=8700 CX=0008 \(down\)$/,
    lines: { SeaBIOS: "1 1cbb86f1", QEMU: "1 1cbb86f1" },
    because: "the caller's table is not written: nothing enters protected mode here",
  },
  {
    calls: /^INT 15h AX=(8800|E801)$|^INT 15h EAX=0000E820 EBX=0000000[34567] /,
    lines: { SeaBIOS: "6 8c69b0f4", QEMU: "7 817727a3" },
    because:
      "64 KiB of ACPI tables at the top of RAM (type 3) and VirtualBox's ranges for both APICs; SeaBIOS keeps 8 KiB of its own (128 KiB with QEMU's tables), type 2",
  },
  {
    calls: /^INT 15h AX=E881$/,
    lines: { SeaBIOS: "1 8034417a", QEMU: "1 8034417a" },
    because: "the 32-bit form of E801h exists here",
  },
  {
    calls: /^INT 15h AX=C205 BX=0[39]00$/,
    lines: { SeaBIOS: "2 36dca974", QEMU: "2 36dca974" },
    because: "BX stays, a package of nine bytes is an invalid value (02h); SeaBIOS returns the reset's BL, and 03h",
  },
  {
    calls: /^INT 16h AX=0900/,
    lines: { SeaBIOS: "1 9b213077", QEMU: "1 9b213077" },
    because: "function 0Ah is announced (bit 2): it exists",
  },
  {
    calls: /^INT 1Ah AX=0600 CX=0102 DX=0300 \(twice\)$/,
    lines: { SeaBIOS: "1 bb2a7aea", QEMU: "1 bb2a7aea" },
    because: "an alarm that is set already: carry only; SeaBIOS clears AH as well",
  },
  {
    calls: /^INT 1Ah AX=B102 CX=1111 DX=FFFF$/,
    lines: { SeaBIOS: "1 2d44d30a", QEMU: "1 2d44d30a" },
    because: "PCI BIOS 2.1: vendor FFFFh is 83h",
  },
  {
    calls: /^INT 1Ah AX=B1(09|0A) BX=0008 DI=000[12]$|^INT 1Ah AX=B10[CD] BX=0010 E?CX=\w+ DI=003[DE]$/,
    lines: { SeaBIOS: "4 6d7a2f30", QEMU: "4 6d7a2f30" },
    because: "PCI BIOS 2.1: a register number that is not a multiple of the size is 87h",
  },
  {
    calls: /^INT 1Ah AX=B10A BX=0008 DI=0060$/,
    lines: { SeaBIOS: "1 f1ce2236", QEMU: "1 f1ce2236" },
    because: "PIRQs are led to 11, 10, 9, 11 as VirtualBox leads them; SeaBIOS takes 10, 10, 11, 11",
  },
  {
    calls: /^INT 1Ah AX=B10E \(too small\)$/,
    lines: { SeaBIOS: "1 a385499f", QEMU: "1 a385499f" },
    because: "the size needed: VirtualBox's board has 25 slots in the routing table, SeaBIOS' six",
  },
  {
    calls: /^INT 1Ah AX=B10F /,
    lines: { SeaBIOS: "1 c4f93608", QEMU: "1 c4f93608" },
    because: "the function exists here: IRQ 11 cannot be led to a pin 0Ah (88h)",
  },
  {
    calls: /^INT 1Ah AX=B10[89] BX=0008 DI=(002C|0004)$/,
    lines: { QEMU: "2 e46461d5" },
    because:
      "QEMU's PIIX3 has a subsystem id and SERR# on; the chip has neither (VirtualBox's register 04h reads 0007h)",
  },
  {
    calls: /^in mode ..h: data area 449h–466h$/,
    lines: { QEMU: "15 06ed2be1" },
    because:
      "465h and 466h hold the CGA mode and colour registers' values, as IBM's BIOS leaves them, and the CRT controller of mode 0Fh is monochrome's 3B4h; QEMU's VGA BIOS writes neither",
  },
  {
    calls: /^(in mode ..h|8x(8|14|16) font): data area 484h–48Ah$/,
    lines: { QEMU: "18 0500f239" },
    because: "489h without 'display switching' (bit 6): there is one adapter. 48Ah is 7, monochrome, in mode 0Fh too",
  },
  {
    calls: /^INT 10h AX=1019$/,
    lines: { QEMU: "1 e716f418" },
    because: "the pixel mask is read",
  },
  {
    calls: /^INT 10h AX=1200 BX=0035$/,
    lines: { QEMU: "1 15d68c03" },
    because: "no second display to switch to: not supported",
  },
  {
    calls: /^INT 10h AX=1B00$/,
    lines: { QEMU: "1 1586635a" },
    because:
      "the cursor's shape as AH=01h was told, the CGA registers, 25 lines with grey summing off in the state byte",
  },
  {
    calls: /^INT 10h AX=(1C00 CX=0007|4F04 CX=000F)$/,
    lines: { QEMU: "2 56465709" },
    because: "the state block is 64 bytes larger or smaller: its layout is each BIOS' own",
  },
  {
    calls: /^INT 10h AX=4F00/,
    lines: { QEMU: "2 7ab9068f" },
    because: "VBE 2.0 and 8 MiB of memory; QEMU's says 3.0 and has 16 MiB",
  },
  {
    calls: /^INT 10h AX=4F01 CX=01\w\w$/,
    lines: { SeaBIOS: "13 25593669", QEMU: "14 1d1e0406" },
    because:
      "the frame buffer's place (E0000000h as VirtualBox; SeaBIOS FE000000h, QEMU FD000000h), pages for 8 MiB, D5 (these modes are a VGA's, programmed through its registers), the spare bits of 15- and 32-bit pixels usable, no VBE 3.0 fields",
  },
  {
    calls: /^INT 10h AX=4F06 /,
    lines: { QEMU: "2 3442f166" },
    because: "as many lines as 8 MiB hold",
  },
  {
    calls: /^INT 10h AX=4F09 /,
    lines: { QEMU: "2 bbf08aea" },
    because: "QEMU's VGA BIOS has no palette function",
  },
  {
    calls: /^INT 10h AX=4F0A /,
    lines: { QEMU: "1 1ed44f3d" },
    because: "QEMU's VGA BIOS has no protected-mode interface",
  },
  {
    calls: /^INT 10h AX=4F10 BX=0000$/,
    lines: { QEMU: "1 b351826e" },
    because: "VBE/PM 1.0 with standby, suspend and off; QEMU's says 3.0 and 'reduced' as well",
  },
  {
    calls: /^INT 10h AX=4F15 /,
    lines: { QEMU: "2 010dd4be" },
    because: "no DDC: the monitor has no identification",
  },
];
