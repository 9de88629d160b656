/**
 * A DVD-ROM drive on ATAPI (ATA/ATAPI-6 chapters 8 and 9.8, MMC-5, SFF-8020i for older drivers): the packet protocol by PIO
 * and DMA, reading, disc structure, tray and media change. Not modelled: audio, writing, CSS keys, overlapped commands,
 * a power-on unit attention. Never sends more than a command's allocation length.
 */
import type { BlockBackend, MediumSlot } from "../../backend-api/block.ts";
import { FormatError } from "../../base/errors.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import * as ata from "./ata-commands.ts";
import { sectorFormat } from "./cd-sector.ts";
import { TO_BUFFER, TO_HOST } from "./data-transfer.ts";
import { type DriveHost, IdeDrive, PHASE_PIO, THEN_CONTINUE, THEN_STEP } from "./drive.ts";
import { identifyPacketDrive } from "./identify.ts";
import { MediumState } from "./medium-state.ts";
import {
  DEV,
  DRDY,
  DRQ,
  DSC,
  ERR,
  IR_COMMAND,
  IR_TO_HOST,
  NM,
  PACKET_DMA,
  PACKET_OVERLAP,
  PACKET_SIGNATURE_HIGH,
  PACKET_SIGNATURE_MID,
} from "./registers.ts";
import type { SavedFields } from "./saved-fields.ts";
import * as scsi from "./scsi-codes.ts";
import * as configuration from "./scsi-configuration.ts";
import { inquiry, requestSense } from "./scsi-inquiry.ts";
import { ModePages } from "./scsi-mode.ts";
import * as toc from "./scsi-toc.ts";

const sectorBytes = 2048;
const packetBytes = 12;
const defaultTransferMode = 0x42;

/** What the bytes of the running transfer are. */
const STAGE_NONE = 0;
const STAGE_IDENTIFY = 1;
const STAGE_PACKET = 2;
const STAGE_DATA = 3;

export interface AtapiDriveConfig {
  readonly slot: MediumSlot;
  readonly device: 0 | 1;
  readonly serial: string;
  readonly model: string;
}

export class AtapiDrive extends IdeDrive {
  readonly isPacketDevice = true;
  readonly #config: AtapiDriveConfig;
  readonly #medium: MediumState;
  readonly #pages = new ModePages();
  readonly #packet = new Uint8Array(packetBytes);
  #transferMode = defaultTransferMode;
  #stage = STAGE_NONE;
  #isDma = false;
  #byteCountLimit = 0;
  #sense = scsi.NO_SENSE;
  /** The disc went away under the running command. */
  #isMediumLost = false;

  constructor(host: DriveHost, name: string, config: AtapiDriveConfig) {
    super(host, name, sectorBytes);
    this.#config = config;
    this.#medium = new MediumState(config.slot, () => {
      this.#isMediumLost = true;
    });
  }

  get currentMedium(): BlockBackend | undefined {
    return this.#isMediumLost ? undefined : this.#medium.medium;
  }

  get isTrayLocked(): boolean {
    return this.#medium.isTrayLocked;
  }

  protected execute(): void {
    this.#stage = STAGE_NONE;
    switch (this.command) {
      case ata.PACKET:
        this.#requestPacket();
        return;
      case ata.IDENTIFY_PACKET_DEVICE:
        this.#identify();
        return;
      case ata.IDENTIFY_DEVICE:
      case ata.READ_SECTORS:
        // How a host finds out that this is a packet device.
        this.#writeSignature();
        this.abort();
        return;
      case ata.SET_FEATURES:
        this.#setFeatures();
        return;
      case ata.CHECK_POWER_MODE:
        this.count = 0xff;
        this.succeed();
        return;
      case ata.STANDBY_IMMEDIATE:
      case ata.IDLE_IMMEDIATE:
      case ata.SLEEP:
      case ata.MEDIA_LOCK:
      case ata.MEDIA_UNLOCK:
        this.succeed();
        return;
      case ata.GET_MEDIA_STATUS:
        if (this.#medium.hasMedium) this.succeed();
        else this.complete(DRDY | DSC | ERR, NM);
        return;
      case ata.NOP:
        this.abort();
        return;
      default:
        this.reportUnknown("ATA command", this.command);
        this.abort();
        return;
    }
  }

  #identify(): void {
    const { model, serial, device } = this.#config;
    const identity = { model, serial, firmware: "1.0", device, transferMode: this.#transferMode };
    identifyPacketDrive(identity, this.transfer.buffer);
    this.#stage = STAGE_IDENTIFY;
    this.transfer.sendBuffer(512, 512, false);
  }

  #setFeatures(): void {
    const subcommand = this.features;
    this.features = 0;
    switch (subcommand) {
      case ata.SET_TRANSFER_MODE:
        if (!ata.isTransferMode(this.count)) {
          this.abort();
          return;
        }
        this.#transferMode = this.count;
        this.succeed();
        return;
      case ata.ENABLE_REVERT:
      case ata.DISABLE_REVERT:
      case ata.ENABLE_MEDIA_STATUS:
      case ata.DISABLE_MEDIA_STATUS:
        this.succeed();
        return;
      default:
        this.reportUnknown("SET FEATURES subcommand", subcommand);
        this.abort();
        return;
    }
  }

  #requestPacket(): void {
    if (this.features & PACKET_OVERLAP) {
      this.abort();
      return;
    }
    this.#isDma = (this.features & PACKET_DMA) !== 0;
    this.#byteCountLimit = this.lbaMid | (this.lbaHigh << 8);
    this.#stage = STAGE_PACKET;
    this.transfer.receiveBuffer(packetBytes, packetBytes, false);
  }

  presentBlock(bytes: number): void {
    this.phase = PHASE_PIO;
    this.status = DRDY | DSC | DRQ;
    if (this.#stage === STAGE_PACKET) {
      // Word 0 of IDENTIFY: no interrupt here, the host polls for DRQ.
      this.#setInterruptReason(IR_COMMAND);
      return;
    }
    if (this.#stage === STAGE_DATA) {
      this.#setInterruptReason(this.transfer.direction === TO_HOST ? IR_TO_HOST : 0);
      this.lbaMid = bytes & 0xff;
      this.lbaHigh = bytes >>> 8;
    }
    this.setInterrupt(true);
  }

  blockFinished(): void {
    if (this.#stage === STAGE_PACKET) {
      this.#packet.set(this.transfer.buffer.subarray(0, packetBytes));
      this.transfer.cancel();
      this.#stage = STAGE_NONE;
      this.busyFor(this.host.timing.packetNs, THEN_CONTINUE);
    } else if (this.#stage === STAGE_IDENTIFY && this.transfer.isDrained) this.finishQuietly(DRDY | DSC, 0);
    else this.busyFor(this.host.timing.pioBlockNs, THEN_STEP);
  }

  transferComplete(): void {
    if (this.#isDma) this.host.busMaster.finish();
    if (this.transfer.direction === TO_BUFFER) {
      const list = this.transfer.buffer.subarray(0, this.transfer.length);
      this.#finish(this.#pages.select(this.#packet[0] === scsi.MODE_SELECT_10, list));
    } else this.#finish(scsi.NO_SENSE);
  }

  transferFailed(): void {
    if (this.#isDma) this.host.busMaster.finish();
    if (this.#isMediumLost) {
      this.#finish(scsi.MEDIUM_NOT_PRESENT);
      return;
    }
    const lba = Math.floor(this.transfer.failedOffsetBytes / sectorBytes);
    this.reportMediumError("read", lba);
    this.#finish(scsi.UNRECOVERED_READ_ERROR);
  }

  /** The packet's status: good (which forgets earlier sense data) or check condition. */
  #finish(sense: number): void {
    this.#stage = STAGE_NONE;
    this.#sense = sense;
    this.#setInterruptReason(IR_COMMAND | IR_TO_HOST);
    if (sense === scsi.NO_SENSE) this.complete(DRDY | DSC, 0);
    else this.complete(DRDY | DSC | ERR, (sense >>> 16) << 4);
  }

  #setInterruptReason(reason: number): void {
    this.count = (this.count & 0xf8) | reason;
  }

  protected override continueCommand(): void {
    const packet = this.#packet;
    this.#isMediumLost = false;
    if (this.host.trace.enabled) {
      const text = [...packet].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      this.host.trace.line(`ide ${this.name}: packet ${text} ${this.#isDma ? "dma" : `limit ${this.#byteCountLimit}`}`);
    }
    const opcode = packet[0];
    const sense = this.#firstSense(opcode);
    if (sense !== scsi.NO_SENSE) {
      this.#finish(sense);
      return;
    }
    const out = this.transfer.buffer;
    const disc = { totalSectors: this.#medium.hasMedium ? this.#medium.totalSectors : 0 };
    switch (opcode) {
      case scsi.TEST_UNIT_READY:
      case scsi.SET_CD_SPEED:
      case scsi.SYNCHRONIZE_CACHE:
        this.#finish(scsi.NO_SENSE);
        return;
      case scsi.REQUEST_SENSE:
        this.#answer(requestSense(this.#sense, out), packet[4]);
        return;
      case scsi.INQUIRY:
        this.#answer(inquiry(packet, out), packet[4]);
        return;
      case scsi.MODE_SENSE_6:
        this.#answer(this.#pages.sense(packet, this.#medium, out), packet[4]);
        return;
      case scsi.MODE_SENSE_10:
        this.#answer(this.#pages.sense(packet, this.#medium, out), scsi.read16(packet, 7));
        return;
      case scsi.MODE_SELECT_6:
        this.#receive(packet[4]);
        return;
      case scsi.MODE_SELECT_10:
        this.#receive(scsi.read16(packet, 7));
        return;
      case scsi.START_STOP_UNIT:
        this.#startStop(packet[4]);
        return;
      case scsi.PREVENT_ALLOW_MEDIUM_REMOVAL:
        this.#medium.lockTray((packet[4] & 1) !== 0);
        this.#finish(scsi.NO_SENSE);
        return;
      case scsi.READ_CAPACITY:
        scsi.write32(out, 0, disc.totalSectors - 1);
        scsi.write32(out, 4, sectorBytes);
        this.#answer(8, 8);
        return;
      case scsi.READ_10:
        this.#read(scsi.read32(packet, 2), scsi.read16(packet, 7));
        return;
      case scsi.READ_12:
        this.#read(scsi.read32(packet, 2), scsi.read32(packet, 6));
        return;
      case scsi.READ_CD:
        this.#readCd(scsi.read32(packet, 2), scsi.read24(packet, 6));
        return;
      case scsi.READ_CD_MSF: {
        const start = scsi.msfToLba(packet, 3);
        this.#readCd(start, scsi.msfToLba(packet, 6) - start);
        return;
      }
      case scsi.SEEK_10:
        this.#finish(scsi.read32(packet, 2) < disc.totalSectors ? scsi.NO_SENSE : scsi.BLOCK_OUT_OF_RANGE);
        return;
      case scsi.READ_TOC:
        this.#answer(toc.readToc(packet, disc, out), scsi.read16(packet, 7));
        return;
      case scsi.READ_SUBCHANNEL:
        this.#answer(toc.readSubchannel(packet, out), scsi.read16(packet, 7));
        return;
      case scsi.READ_HEADER:
        this.#answer(toc.readHeader(packet, disc, out), scsi.read16(packet, 7));
        return;
      case scsi.READ_DISC_INFORMATION:
        this.#answer(toc.readDiscInformation(packet, out), scsi.read16(packet, 7));
        return;
      case scsi.READ_TRACK_INFORMATION:
        this.#answer(toc.readTrackInformation(packet, disc, out), scsi.read16(packet, 7));
        return;
      case scsi.GET_CONFIGURATION:
        this.#answer(configuration.getConfiguration(packet, disc, out), scsi.read16(packet, 7));
        return;
      case scsi.GET_EVENT_STATUS:
        this.#eventStatus();
        return;
      case scsi.GET_PERFORMANCE:
        this.#answer(configuration.getPerformance(packet, disc, out), out.length);
        return;
      case scsi.MECHANISM_STATUS:
        this.#answer(configuration.mechanismStatus(this.#medium.isTrayOpen, out), scsi.read16(packet, 8));
        return;
      case scsi.READ_DVD_STRUCTURE:
        this.#answer(configuration.readDvdStructure(packet, disc, out), scsi.read16(packet, 8));
        return;
      default:
        this.reportUnknown("packet command", opcode);
        this.#finish(scsi.INVALID_OPCODE);
        return;
    }
  }

  /** What the state of the medium answers in the command's stead. */
  #firstSense(opcode: number): number {
    if (scsi.needsMedium(opcode)) return this.#medium.check(opcode === scsi.TEST_UNIT_READY);
    return scsi.hidesUnitAttention(opcode) ? scsi.NO_SENSE : this.#medium.takeUnitAttention();
  }

  /** Sends `length` prepared bytes, cut to what the packet allows; a negative length is a refusal. */
  #answer(length: number, allocation: number): void {
    if (length < 0) {
      this.#finish(-length);
      return;
    }
    const bytes = Math.min(length, allocation);
    if (bytes === 0) {
      this.#finish(scsi.NO_SENSE);
      return;
    }
    this.#stage = STAGE_DATA;
    this.transfer.sendBuffer(bytes, this.#blockBytes(bytes), this.#isDma);
  }

  #receive(length: number): void {
    if (length === 0) {
      this.#finish(scsi.NO_SENSE);
      return;
    }
    this.#stage = STAGE_DATA;
    this.transfer.receiveBuffer(length, this.#blockBytes(length), this.#isDma);
  }

  /** PIO block size for so many bytes under the host's byte count limit: all at once, or an even share. */
  #blockBytes(totalBytes: number): number {
    const limit = this.#byteCountLimit === 0 ? 0xfffe : this.#byteCountLimit;
    if (totalBytes <= Math.min(limit, 0xfffe)) return totalBytes;
    if (limit < sectorBytes) return Math.max(limit & ~1, 2);
    return 2 ** Math.floor(Math.log2(limit));
  }

  #read(lba: number, sectors: number): void {
    if (lba + sectors > this.#medium.totalSectors) {
      this.#finish(scsi.BLOCK_OUT_OF_RANGE);
      return;
    }
    if (sectors === 0) {
      this.#finish(scsi.NO_SENSE);
      return;
    }
    this.#stage = STAGE_DATA;
    const bytes = sectors * sectorBytes;
    this.transfer.sendMedium(lba * sectorBytes, bytes, this.#blockBytes(bytes), this.#isDma);
  }

  #readCd(lba: number, sectors: number): void {
    const packet = this.#packet;
    const expectedType = (packet[1] >>> 2) & 7;
    const isOtherData = (packet[9] & 0x06) !== 0 || (packet[10] & 0x07) !== 0;
    if (sectors < 0 || isOtherData) {
      this.#finish(scsi.INVALID_FIELD_IN_PACKET);
      return;
    }
    if (expectedType !== 0 && expectedType !== 2) {
      this.#finish(scsi.ILLEGAL_MODE_FOR_TRACK);
      return;
    }
    if (lba < 0 || lba + sectors > this.#medium.totalSectors) {
      this.#finish(scsi.BLOCK_OUT_OF_RANGE);
      return;
    }
    const format = sectorFormat(packet[9]);
    if (format === undefined || sectors === 0) {
      this.#finish(scsi.NO_SENSE);
      return;
    }
    if (format === "user") {
      this.#read(lba, sectors);
      return;
    }
    this.#stage = STAGE_DATA;
    const blockBytes = this.#blockBytes(sectors * format.hostBytes);
    this.transfer.sendMedium(lba * sectorBytes, sectors * sectorBytes, blockBytes, this.#isDma, format);
  }

  #startStop(action: number): void {
    // A power condition in the upper half makes the tray bits void.
    const isTrayMoved = (action & 0xf2) === 2;
    const isStart = (action & 1) !== 0;
    if (!isTrayMoved) {
      this.#finish(scsi.NO_SENSE);
      return;
    }
    if (isStart) {
      this.#medium.close();
      this.#finish(scsi.NO_SENSE);
      return;
    }
    if (this.#medium.isTrayLocked) {
      this.#finish(scsi.REMOVAL_PREVENTED);
      return;
    }
    this.#finish(this.#medium.eject() ? scsi.NO_SENSE : scsi.EJECT_FAILED);
  }

  #eventStatus(): void {
    const packet = this.#packet;
    const allocation = scsi.read16(packet, 7);
    const takesEvent = configuration.asksForMediaEvents(packet) && (packet[1] & 1) !== 0 && allocation > 4;
    const event = takesEvent ? this.#medium.takeEvent() : 0;
    const { hasMedium, isTrayOpen } = this.#medium;
    this.#answer(configuration.eventStatus(packet, event, hasMedium, isTrayOpen, this.transfer.buffer), allocation);
  }

  #writeSignature(): void {
    this.count = 1;
    this.lbaLow = 1;
    this.lbaMid = PACKET_SIGNATURE_MID;
    this.lbaHigh = PACKET_SIGNATURE_HIGH;
  }

  protected setSignature(): void {
    this.#writeSignature();
    this.device &= DEV;
    this.#stage = STAGE_NONE;
    this.status = 0;
  }

  override hardReset(): void {
    super.hardReset();
    this.#medium.reset();
    this.#pages.reset();
    this.#sense = scsi.NO_SENSE;
    this.#transferMode = defaultTransferMode;
    this.#isMediumLost = false;
  }

  override save(): { [key: string]: SavedValue } {
    return {
      ...super.save(),
      packet: this.#packet.slice(),
      transferMode: this.#transferMode,
      stage: this.#stage,
      isDma: this.#isDma,
      byteCountLimit: this.#byteCountLimit,
      sense: this.#sense,
      isMediumLost: this.#isMediumLost,
      isRawRead: this.transfer.format !== undefined,
      pages: this.#pages.save(),
      medium: this.#medium.save(),
    };
  }

  override load(fields: SavedFields): void {
    super.load(fields);
    const packet = fields.bytes("packet", packetBytes);
    if (packet.length !== packetBytes) throw new FormatError(`ide ${this.name}: saved packet is cut`);
    this.#packet.set(packet);
    this.#transferMode = fields.number("transferMode", 0, 0xff);
    this.#stage = fields.number("stage", STAGE_NONE, STAGE_DATA);
    this.#isDma = fields.boolean("isDma");
    this.#byteCountLimit = fields.number("byteCountLimit", 0, 0xffff);
    this.#sense = fields.number("sense", 0, 0xffffff);
    this.#isMediumLost = fields.boolean("isMediumLost");
    const format = fields.boolean("isRawRead") ? sectorFormat(packet[9]) : undefined;
    if (format === "user") throw new FormatError(`ide ${this.name}: saved sector format contradicts the packet`);
    this.transfer.format = format;
    if (!this.#pages.load(fields.bytes("pages", 0x100))) {
      throw new FormatError(`ide ${this.name}: saved mode pages are damaged`);
    }
    this.#medium.load(fields.object("medium"));
    fields.end();
  }
}
