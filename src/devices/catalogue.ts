/**
 * Every device there is: factory and config types, one line or group for each folder, sorted by folder. Only machine/
 * imports this file; adding a device is one folder, its line here and its page in docs/devices.
 */

export { type Ac97Config, createAc97 } from "./ac97/index.ts";
export { type AcpiPmConfig, type AcpiPmDevice, createAcpiPm } from "./acpi-pm/index.ts";
export { createDma, type DmaDevice } from "./dma-8237/index.ts";
export { createE1000, type E1000Config, type E1000Model } from "./e1000/index.ts";
export { createFloppy, type FloppyConfig, type FloppyDriveConfig } from "./floppy-82078/index.ts";
export { createHpet, type HpetConfig, type HpetDevice } from "./hpet/index.ts";
export { createI440fx, type I440fxConfig } from "./i440fx/index.ts";
export { createIde, type IdeConfig, type IdeController, type IdeDiskConfig, type IdeDvdConfig } from "./ide/index.ts";
export { createIoApic, type IoApicConfig, type IoApicDevice } from "./io-apic/index.ts";
export { createLocalApic, type LocalApicConfig, type LocalApicDevice } from "./local-apic/index.ts";
export { createOhci, type OhciDevice, type OhciDeviceConfig, type UsbInput } from "./ohci/index.ts";
export { createParallelPort, type ParallelPortConfig } from "./parallel-port/index.ts";
export { createPcnet, type PcnetConfig, type PcnetModel } from "./pcnet/index.ts";
export { createPic, type PicConfig, type PicDevice } from "./pic-8259/index.ts";
export { createPiix3Isa, type Piix3IsaDevice } from "./piix3-isa/index.ts";
export { createPit, type PitDevice } from "./pit-8254/index.ts";
export { createPs2, type Ps2Config, type Ps2Device } from "./ps2-8042/index.ts";
export { createRtc, type RtcConfig } from "./rtc-mc146818/index.ts";
export { createSb16, type Sb16Config } from "./sb16/index.ts";
export { createSystemPorts, type ResetRequest, type SystemPortsConfig } from "./system-ports/index.ts";
export { createUart, type UartConfig, type UartType } from "./uart-16550/index.ts";
export { SHADOW_BYTES as VGA_SHADOW_BYTES } from "./vga/direct-window.ts";
export { createVga, type VgaConfig, type VgaDevice } from "./vga/index.ts";
export { createVirtioNet } from "./virtio-net/index.ts";
