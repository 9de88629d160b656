/**
 * One IDE channel (ATA/ATAPI-6 chapter 7 and 9.16): the register block that both drives share, device selection, device
 * control (nIEN, SRST, HOB) and the INTRQ wire. Writes of the task file reach both drives; only DEV decides who executes
 * and who answers. A missing slave answers 00h and ignores commands; a channel without drives answers 00h throughout.
 */
import { FormatError } from "../../base/errors.ts";
import type { AccessSize, IoWindow } from "../../device-api/io-window.ts";
import { allOnes } from "../../device-api/io-window.ts";
import type { IrqLine } from "../../device-api/irq-line.ts";
import type { SavedValue } from "../../device-api/saved-state.ts";
import { DEVICE_RESET, EXECUTE_DEVICE_DIAGNOSTIC } from "./ata-commands.ts";
import type { BusMasterChannel } from "./bus-master.ts";
import type { IdeDrive } from "./drive.ts";
import { COUNT, DATA, DEV, DEVICE, ERROR, HOB, LBA_HIGH, LBA_LOW, LBA_MID, NIEN, SRST, STATUS } from "./registers.ts";
import type { SavedFields } from "./saved-fields.ts";

export class IdeChannel {
  readonly drives: [IdeDrive | undefined, IdeDrive | undefined] = [undefined, undefined];
  readonly commandBlock: IoWindow;
  readonly controlBlock: IoWindow;
  readonly #irq: IrqLine;
  readonly #busMaster: BusMasterChannel;
  #deviceRegister = 0;
  #control = 0;
  #lineLevel = false;

  constructor(irq: IrqLine, busMaster: BusMasterChannel) {
    this.#irq = irq;
    this.#busMaster = busMaster;
    this.commandBlock = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
      readBulk: (offset, size, target) => {
        const drive = this.#selected;
        return offset === DATA && drive?.isTransferringToHost ? drive.transfer.readDataBulk(size, target) : 0;
      },
      writeBulk: (offset, size, source) => {
        const drive = this.#selected;
        if (offset !== DATA || !drive?.isTransferringPio || drive.isTransferringToHost) return 0;
        return drive.transfer.writeDataBulk(size, source);
      },
    };
    this.controlBlock = {
      // Reading the alternate status leaves INTRQ alone.
      read: () => this.#selected?.status ?? 0,
      write: (_offset, _size, value) => this.#writeControl(value & 0xff),
    };
  }

  get #selected(): IdeDrive | undefined {
    return this.drives[this.#deviceRegister & DEV ? 1 : 0];
  }

  get pendingRequests(): number {
    return (this.drives[0]?.pendingRequests ?? 0) + (this.drives[1]?.pendingRequests ?? 0);
  }

  #read(offset: number, size: AccessSize): number {
    if (offset === DATA) {
      const drive = this.#selected;
      return drive?.isTransferringToHost ? drive.transfer.readData(size) : allOnes(size);
    }
    let value = 0;
    for (let i = 0; i < size; i++) value += this.#readRegister(offset + i) * 2 ** (8 * i);
    return value;
  }

  #readRegister(offset: number): number {
    const drive = this.#selected;
    if (drive === undefined) {
      const isOtherThere = this.drives[0] !== undefined || this.drives[1] !== undefined;
      return offset === DEVICE && isOtherThere ? this.#deviceRegister : 0;
    }
    const isPrevious = (this.#control & HOB) !== 0;
    switch (offset) {
      case ERROR:
        return drive.error;
      case COUNT:
        return isPrevious ? drive.previousCount : drive.count;
      case LBA_LOW:
        return isPrevious ? drive.previousLbaLow : drive.lbaLow;
      case LBA_MID:
        return isPrevious ? drive.previousLbaMid : drive.lbaMid;
      case LBA_HIGH:
        return isPrevious ? drive.previousLbaHigh : drive.lbaHigh;
      case DEVICE:
        return drive.device;
      case STATUS:
        drive.setInterrupt(false);
        return drive.status;
      default:
        return 0xff;
    }
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset === DATA) {
      const drive = this.#selected;
      if (drive?.isTransferringPio && !drive.isTransferringToHost) drive.transfer.writeData(size, value);
      return;
    }
    for (let i = 0; i < size && offset + i <= STATUS; i++) this.#writeRegister(offset + i, (value >>> (8 * i)) & 0xff);
  }

  #writeRegister(offset: number, value: number): void {
    this.#control &= ~HOB;
    if (offset === STATUS) {
      this.#writeCommand(value);
      return;
    }
    // A busy drive owns its registers; the idle one on the same cable is not disturbed either.
    if (this.#selected?.isBusy) return;
    for (const drive of this.drives) {
      if (drive !== undefined && !drive.isBusy) writeTaskFile(drive, offset, value);
    }
    if (offset === DEVICE) {
      this.#deviceRegister = value;
      this.interruptChanged();
    }
  }

  #writeCommand(command: number): void {
    const drive = this.#selected;
    if (this.#control & SRST) return;
    if (command === EXECUTE_DEVICE_DIAGNOSTIC) {
      this.#diagnose();
      return;
    }
    if (drive === undefined) return;
    if (command === DEVICE_RESET && drive.isPacketDevice) drive.diagnose(false);
    else drive.writeCommand(command);
  }

  #diagnose(): void {
    const [master, slave] = this.drives;
    if (master?.isBusy || slave?.isBusy) return;
    this.#selectMaster();
    master?.diagnose(true);
    slave?.diagnose(false);
    this.interruptChanged();
  }

  #writeControl(value: number): void {
    const changed = this.#control ^ value;
    this.#control = value & (HOB | SRST | NIEN);
    if (changed & SRST) {
      for (const drive of this.drives) {
        if (value & SRST) drive?.beginReset();
        else drive?.endReset();
      }
      this.#selectMaster();
    }
    this.interruptChanged();
  }

  #selectMaster(): void {
    this.#deviceRegister = 0;
    for (const drive of this.drives) if (drive !== undefined) drive.device = 0;
  }

  /** INTRQ of the selected drive, unless nIEN holds it; each rising edge shows in the bus master's status. */
  interruptChanged(): void {
    const level = (this.#selected?.isInterruptPending ?? false) && (this.#control & NIEN) === 0;
    if (level === this.#lineLevel) return;
    this.#lineLevel = level;
    if (level) {
      this.#busMaster.noteInterrupt();
      this.#irq.raise();
    } else this.#irq.lower();
  }

  busMasterStarted(): void {
    this.drives[0]?.busMasterStarted();
    this.drives[1]?.busMasterStarted();
  }

  reset(): void {
    this.#control = 0;
    this.#deviceRegister = 0;
    for (const drive of this.drives) drive?.hardReset();
    this.#busMaster.reset(this.drives[0] !== undefined, this.drives[1] !== undefined);
    this.interruptChanged();
  }

  save(): { [key: string]: SavedValue } {
    return {
      device: this.#deviceRegister,
      control: this.#control,
      lineLevel: this.#lineLevel,
      busMaster: this.#busMaster.save(),
      master: this.drives[0]?.save() ?? null,
      slave: this.drives[1]?.save() ?? null,
    };
  }

  /** Sets levels without touching the wire: the interrupt controller restores its own inputs. */
  load(fields: SavedFields): void {
    this.#deviceRegister = fields.number("device", 0, 0xff);
    this.#control = fields.number("control", 0, 0xff);
    this.#lineLevel = fields.boolean("lineLevel");
    this.#busMaster.load(fields.object("busMaster"));
    this.#loadDrive(0, fields.optionalObject("master"));
    this.#loadDrive(1, fields.optionalObject("slave"));
    fields.end();
  }

  #loadDrive(device: 0 | 1, fields: SavedFields | undefined): void {
    const drive = this.drives[device];
    if (drive !== undefined && fields !== undefined) drive.load(fields);
    else if (drive !== undefined || fields !== undefined) {
      throw new FormatError(`saved IDE channel: ${device === 0 ? "master" : "slave"} drive present on one side only`);
    }
  }
}

function writeTaskFile(drive: IdeDrive, offset: number, value: number): void {
  switch (offset) {
    case ERROR:
      drive.features = value;
      return;
    case COUNT:
      drive.previousCount = drive.count;
      drive.count = value;
      return;
    case LBA_LOW:
      drive.previousLbaLow = drive.lbaLow;
      drive.lbaLow = value;
      return;
    case LBA_MID:
      drive.previousLbaMid = drive.lbaMid;
      drive.lbaMid = value;
      return;
    case LBA_HIGH:
      drive.previousLbaHigh = drive.lbaHigh;
      drive.lbaHigh = value;
      return;
    case DEVICE:
      drive.device = value;
      return;
    default:
  }
}
