/**
 * An ATA disk (ATA/ATAPI-6 chapter 8, with the older commands that DOS-age systems still send): PIO single and multiple,
 * DMA, LBA28, LBA48 and CHS, verify, flush, power modes, SET FEATURES. Not modelled: SMART, security, host protected area
 * setting, overlapped and queued commands, 8-bit data transfers, media-status reports.
 */
import type { BlockBackend, Geometry } from "../../backend-api/block.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import { physicalGeometry } from "../../spec/geometry.ts";
import * as command from "./ata-commands.ts";
import { TO_HOST, TO_MEDIUM } from "./data-transfer.ts";
import { type DriveHost, IdeDrive, PHASE_PIO, THEN_STEP } from "./drive.ts";
import { type DiskIdentity, identifyDisk, maxLba28Sectors, maxMultipleSectors } from "./identify.ts";
import { ABRT, DEV, DRDY, DRQ, DSC, ERR, IDNF, LBA_MODE, UNC } from "./registers.ts";
import type { SavedFields } from "./saved-fields.ts";

const sectorBytes = 512;
const defaultTransferMode = 0x42;

export interface AtaDiskConfig {
  readonly backend: BlockBackend;
  readonly device: 0 | 1;
  readonly serial: string;
  readonly model: string;
}

export class AtaDisk extends IdeDrive {
  readonly isPacketDevice = false;
  readonly totalSectors: number;
  readonly physical: Geometry;
  readonly #config: AtaDiskConfig;
  #current: Geometry;
  #multipleSectors = maxMultipleSectors;
  #transferMode = defaultTransferMode;
  #isWriteCacheOn = true;
  #isLookAheadOn = true;
  /** SET FEATURES CCh: a soft reset brings back the settings of power-on. */
  #revertsOnReset = false;
  #isStandby = false;
  #isAsleep = false;
  #is48Bit = false;
  /** Range of the running command. */
  #lba = 0;
  #sectors = 0;
  #isFirstBlock = true;

  constructor(host: DriveHost, name: string, config: AtaDiskConfig) {
    super(host, name, sectorBytes);
    this.#config = config;
    this.totalSectors = Math.floor(config.backend.sizeBytes / sectorBytes);
    this.physical = physicalGeometry(this.totalSectors);
    this.#current = this.physical;
  }

  get currentMedium(): BlockBackend {
    return this.#config.backend;
  }

  protected override startCommand(code: number): void {
    // Asleep, only a reset wakes the drive.
    if (!this.#isAsleep) super.startCommand(code);
  }

  protected execute(): void {
    const code = this.command;
    this.#is48Bit = command.is48Bit(code);
    this.#isFirstBlock = true;
    switch (code) {
      case command.READ_SECTORS:
      case command.READ_SECTORS_ONCE:
      case command.READ_SECTORS_EXT:
        this.#read(1, false);
        return;
      case command.READ_MULTIPLE:
      case command.READ_MULTIPLE_EXT:
        if (this.#multipleSectors === 0) this.abort();
        else this.#read(this.#multipleSectors, false);
        return;
      case command.READ_DMA:
      case command.READ_DMA_ONCE:
      case command.READ_DMA_EXT:
        this.#read(1, true);
        return;
      case command.WRITE_SECTORS:
      case command.WRITE_SECTORS_ONCE:
      case command.WRITE_SECTORS_EXT:
        this.#write(1, false);
        return;
      case command.WRITE_MULTIPLE:
      case command.WRITE_MULTIPLE_EXT:
        if (this.#multipleSectors === 0) this.abort();
        else this.#write(this.#multipleSectors, false);
        return;
      case command.WRITE_DMA:
      case command.WRITE_DMA_ONCE:
      case command.WRITE_DMA_EXT:
        this.#write(1, true);
        return;
      case command.READ_VERIFY:
      case command.READ_VERIFY_ONCE:
      case command.READ_VERIFY_EXT:
        this.#verify();
        return;
      case command.IDENTIFY_DEVICE:
        identifyDisk(this.#identity(), this.transfer.buffer);
        this.transfer.sendBuffer(sectorBytes, sectorBytes, false);
        return;
      case command.SEEK:
        if (this.#takeRange(1)) this.succeed();
        return;
      case command.INITIALIZE_DEVICE_PARAMETERS:
        this.#initializeParameters();
        return;
      case command.SET_MULTIPLE_MODE:
        this.#setMultiple();
        return;
      case command.SET_FEATURES:
        this.#setFeatures();
        return;
      case command.FLUSH_CACHE:
      case command.FLUSH_CACHE_EXT:
        this.#flush();
        return;
      case command.STANDBY_IMMEDIATE:
      case command.STANDBY:
        this.#isStandby = true;
        this.#flush();
        return;
      case command.IDLE_IMMEDIATE:
      case command.IDLE:
        this.#isStandby = false;
        this.succeed();
        return;
      case command.CHECK_POWER_MODE:
        this.count = this.#isStandby ? 0x00 : 0xff;
        this.succeed();
        return;
      case command.SLEEP:
        this.#isAsleep = true;
        this.#flush();
        return;
      case command.READ_NATIVE_MAX_ADDRESS:
        this.#setAddress(Math.min(this.totalSectors, maxLba28Sectors + 1) - 1, true);
        this.succeed();
        return;
      case command.READ_NATIVE_MAX_ADDRESS_EXT:
        this.#setAddress(this.totalSectors - 1, true);
        this.succeed();
        return;
      case command.MEDIA_LOCK:
      case command.MEDIA_UNLOCK:
        this.succeed();
        return;
      case command.DEVICE_RESET:
        // For packet devices only, but a host that tries learns what this drive is.
        this.setSignature();
        this.abort();
        return;
      case command.NOP:
        this.abort();
        return;
      default:
        if (command.isRecalibrate(code)) {
          this.succeed();
          return;
        }
        this.reportUnknown("ATA command", code);
        this.abort();
        return;
    }
  }

  #identity(): DiskIdentity {
    return {
      model: this.#config.model,
      serial: this.#config.serial,
      firmware: "1.0",
      device: this.#config.device,
      transferMode: this.#transferMode,
      totalSectors: this.totalSectors,
      physical: this.physical,
      current: this.#current,
      multipleSectors: this.#multipleSectors,
      isWriteCacheOn: this.#isWriteCacheOn,
      isLookAheadOn: this.#isLookAheadOn,
    };
  }

  #read(sectorsPerBlock: number, isDma: boolean): void {
    if (!this.#takeRange(0)) return;
    const bytes = this.#sectors * sectorBytes;
    this.transfer.sendMedium(this.#lba * sectorBytes, bytes, sectorsPerBlock * sectorBytes, isDma);
  }

  #write(sectorsPerBlock: number, isDma: boolean): void {
    if (this.#config.backend.readOnly) {
      this.abort();
      return;
    }
    if (!this.#takeRange(0)) return;
    const bytes = this.#sectors * sectorBytes;
    this.transfer.receiveMedium(this.#lba * sectorBytes, bytes, sectorsPerBlock * sectorBytes, isDma);
  }

  #verify(): void {
    if (!this.#takeRange(0)) return;
    this.transfer.verifyMedium(this.#lba * sectorBytes, this.#sectors * sectorBytes);
  }

  #flush(): void {
    this.requests.flush(this.#config.backend, (ok) => (ok ? this.succeed() : this.abort()));
  }

  /**
   * The command's range from the task file; `fixedSectors` overrides the count. A range that leaves the disk or a CHS
   * address outside the current geometry fails as "not found", with nothing transferred.
   */
  #takeRange(fixedSectors: number): boolean {
    this.#isStandby = false;
    const count = this.#is48Bit ? this.previousCount * 256 + this.count : this.count;
    this.#sectors = fixedSectors || count || (this.#is48Bit ? 0x10000 : 256);
    this.#lba = this.#address();
    if (this.#lba >= 0 && this.#lba + this.#sectors <= this.totalSectors) return true;
    this.complete(DRDY | DSC | ERR, IDNF);
    return false;
  }

  /** The addressed sector, -1 for a CHS address that the current geometry does not have. */
  #address(): number {
    const low24 = this.lbaLow + this.lbaMid * 0x100 + this.lbaHigh * 0x1_0000;
    if (this.#is48Bit) {
      const high24 = this.previousLbaLow + this.previousLbaMid * 0x100 + this.previousLbaHigh * 0x1_0000;
      return high24 * 0x100_0000 + low24;
    }
    const head = this.device & 0x0f;
    if (this.device & LBA_MODE) return head * 0x100_0000 + low24;
    const { heads, sectors } = this.#current;
    if (this.lbaLow === 0 || this.lbaLow > sectors || head >= heads) return -1;
    return ((this.lbaMid + this.lbaHigh * 0x100) * heads + head) * sectors + this.lbaLow - 1;
  }

  /** Shows `lba` in the task file, in the form of the command's address (or as LBA in any case). */
  #setAddress(lba: number, isAlwaysLba: boolean): void {
    if (this.#is48Bit) {
      this.previousLbaLow = Math.floor(lba / 0x100_0000) & 0xff;
      this.previousLbaMid = Math.floor(lba / 0x1_0000_0000) & 0xff;
      this.previousLbaHigh = Math.floor(lba / 0x100_0000_0000) & 0xff;
    }
    if (this.#is48Bit || isAlwaysLba || this.device & LBA_MODE) {
      this.lbaLow = lba & 0xff;
      this.lbaMid = (lba >>> 8) & 0xff;
      this.lbaHigh = (lba >>> 16) & 0xff;
      if (!this.#is48Bit) this.device = (this.device & 0xf0) | (Math.floor(lba / 0x100_0000) & 0x0f);
      return;
    }
    const { heads, sectors } = this.#current;
    const track = Math.floor(lba / sectors);
    const cylinder = Math.floor(track / heads);
    this.lbaLow = (lba % sectors) + 1;
    this.lbaMid = cylinder & 0xff;
    this.lbaHigh = (cylinder >>> 8) & 0xff;
    this.device = (this.device & 0xf0) | (track % heads);
  }

  presentBlock(_bytes: number): void {
    const isAnnounced = this.transfer.direction === TO_HOST || !this.#isFirstBlock;
    this.#isFirstBlock = false;
    this.phase = PHASE_PIO;
    this.status = DRDY | DSC | DRQ;
    if (isAnnounced) this.setInterrupt(true);
  }

  blockFinished(): void {
    if (this.transfer.direction === TO_HOST && this.transfer.isDrained) {
      // The last block was announced when it became ready: no interrupt after it.
      this.#showEnd();
      this.finishQuietly(DRDY | DSC, 0);
    } else this.busyFor(this.host.timing.pioBlockNs, THEN_STEP);
  }

  transferComplete(): void {
    if (this.transfer.isDma) this.host.busMaster.finish();
    this.#showEnd();
    this.succeed();
  }

  #showEnd(): void {
    if (this.command === command.IDENTIFY_DEVICE) return;
    this.count = 0;
    this.previousCount = 0;
    this.#setAddress(this.#lba + this.#sectors - 1, false);
  }

  transferFailed(): void {
    const isRead = this.transfer.direction !== TO_MEDIUM;
    const failedLba = Math.floor(this.transfer.failedOffsetBytes / sectorBytes);
    if (this.transfer.isDma) this.host.busMaster.finish();
    this.reportMediumError(isRead ? "read" : "write", failedLba);
    this.#fail(isRead ? UNC : ABRT, failedLba);
  }

  #fail(error: number, lba: number): void {
    const sectorsLeft = this.#lba + this.#sectors - lba;
    this.count = sectorsLeft & 0xff;
    this.previousCount = (sectorsLeft >>> 8) & 0xff;
    this.#setAddress(lba, false);
    this.complete(DRDY | DSC | ERR, error);
  }

  #initializeParameters(): void {
    const sectors = this.count;
    const heads = (this.device & 0x0f) + 1;
    if (sectors === 0) {
      this.abort();
      return;
    }
    const cylinders = Math.min(Math.floor(this.totalSectors / (heads * sectors)), 0xffff);
    this.#current = { cylinders, heads, sectors };
    this.succeed();
  }

  #setMultiple(): void {
    const sectors = this.count;
    if (sectors > maxMultipleSectors || (sectors & (sectors - 1)) !== 0) {
      this.abort();
      return;
    }
    this.#multipleSectors = sectors;
    this.succeed();
  }

  #setFeatures(): void {
    const subcommand = this.features;
    this.features = 0;
    switch (subcommand) {
      case command.ENABLE_WRITE_CACHE:
        this.#isWriteCacheOn = true;
        this.succeed();
        return;
      case command.DISABLE_WRITE_CACHE:
        this.#isWriteCacheOn = false;
        this.#flush();
        return;
      case command.ENABLE_LOOK_AHEAD:
        this.#isLookAheadOn = true;
        this.succeed();
        return;
      case command.DISABLE_LOOK_AHEAD:
        this.#isLookAheadOn = false;
        this.succeed();
        return;
      case command.ENABLE_REVERT:
        this.#revertsOnReset = true;
        this.succeed();
        return;
      case command.DISABLE_REVERT:
        this.#revertsOnReset = false;
        this.succeed();
        return;
      case command.ENABLE_MEDIA_STATUS:
      case command.DISABLE_MEDIA_STATUS:
        this.succeed();
        return;
      case command.SET_TRANSFER_MODE:
        if (!command.isTransferMode(this.count)) {
          this.abort();
          return;
        }
        this.#transferMode = this.count;
        this.succeed();
        return;
      default:
        this.reportUnknown("SET FEATURES subcommand", subcommand);
        this.abort();
        return;
    }
  }

  protected setSignature(): void {
    this.count = 1;
    this.lbaLow = 1;
    this.lbaMid = 0;
    this.lbaHigh = 0;
    this.device &= DEV;
    this.status = DRDY | DSC;
  }

  protected override resetDone(isReset: boolean): void {
    this.#isAsleep = false;
    this.#isStandby = false;
    if (isReset && this.#revertsOnReset) this.#restoreDefaults();
  }

  override hardReset(): void {
    super.hardReset();
    this.#isAsleep = false;
    this.#isStandby = false;
    this.#revertsOnReset = false;
    this.#restoreDefaults();
  }

  #restoreDefaults(): void {
    this.#current = this.physical;
    this.#multipleSectors = maxMultipleSectors;
    this.#transferMode = defaultTransferMode;
    this.#isWriteCacheOn = true;
    this.#isLookAheadOn = true;
  }

  override save(): { [key: string]: SavedValue } {
    return {
      ...super.save(),
      current: [this.#current.cylinders, this.#current.heads, this.#current.sectors],
      multipleSectors: this.#multipleSectors,
      transferMode: this.#transferMode,
      isWriteCacheOn: this.#isWriteCacheOn,
      isLookAheadOn: this.#isLookAheadOn,
      revertsOnReset: this.#revertsOnReset,
      isStandby: this.#isStandby,
      isAsleep: this.#isAsleep,
      is48Bit: this.#is48Bit,
      lba: this.#lba,
      sectors: this.#sectors,
      isFirstBlock: this.#isFirstBlock,
    };
  }

  override load(fields: SavedFields): void {
    super.load(fields);
    const [cylinders, heads, sectors] = fields.numbers("current", 3, 0, 0xffff);
    this.#current = { cylinders, heads: heads || 1, sectors: sectors || 1 };
    this.#multipleSectors = fields.number("multipleSectors", 0, maxMultipleSectors);
    this.#transferMode = fields.number("transferMode", 0, 0xff);
    this.#isWriteCacheOn = fields.boolean("isWriteCacheOn");
    this.#isLookAheadOn = fields.boolean("isLookAheadOn");
    this.#revertsOnReset = fields.boolean("revertsOnReset");
    this.#isStandby = fields.boolean("isStandby");
    this.#isAsleep = fields.boolean("isAsleep");
    this.#is48Bit = fields.boolean("is48Bit");
    this.#lba = fields.number("lba", -1, Number.MAX_SAFE_INTEGER);
    this.#sectors = fields.number("sectors", 0, 0x10000);
    this.#isFirstBlock = fields.boolean("isFirstBlock");
    fields.end();
  }
}
