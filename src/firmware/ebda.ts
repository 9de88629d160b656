/** Offsets in the extended BIOS data area (segment 9FC0h, 1 KiB). The mouse part lies where IBM's BIOSes have it. */
export const ebda = {
  sizeKib: 0x00,
  /** Far pointer of the driver that INT 15h C207h installed. */
  mouseHandler: 0x22,
  /** Bits 0–2 bytes received of the packet, bit 7 a handler is installed. */
  mouseState: 0x26,
  /** Bits 0–2 packet size less one, bit 7 enabled. */
  mouseSize: 0x27,
  mousePacket: 0x28,
} as const;
