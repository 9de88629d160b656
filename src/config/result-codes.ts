/**
 * VirtualBox's result codes and the error that carries one. Clients match code names and message fragments, so both are
 * an interface; component and interface are VirtualBox's names for the object that refused.
 */
import { AnneauError } from "../base/errors.ts";

export const resultCodes = {
  VBOX_E_OBJECT_NOT_FOUND: 0x80bb0001,
  VBOX_E_INVALID_VM_STATE: 0x80bb0002,
  VBOX_E_VM_ERROR: 0x80bb0003,
  VBOX_E_FILE_ERROR: 0x80bb0004,
  VBOX_E_IPRT_ERROR: 0x80bb0005,
  VBOX_E_PDM_ERROR: 0x80bb0006,
  VBOX_E_INVALID_OBJECT_STATE: 0x80bb0007,
  VBOX_E_HOST_ERROR: 0x80bb0008,
  VBOX_E_NOT_SUPPORTED: 0x80bb0009,
  VBOX_E_XML_ERROR: 0x80bb000a,
  VBOX_E_INVALID_SESSION_STATE: 0x80bb000b,
  VBOX_E_OBJECT_IN_USE: 0x80bb000c,
  VBOX_E_PASSWORD_INCORRECT: 0x80bb000d,
  VBOX_E_MAXIMUM_REACHED: 0x80bb000e,
  VBOX_E_GSTCTL_GUEST_ERROR: 0x80bb000f,
  VBOX_E_TIMEOUT: 0x80bb0010,
  VBOX_E_DND_ERROR: 0x80bb0011,
  NS_ERROR_FAILURE: 0x80004005,
  E_ACCESSDENIED: 0x80070005,
  E_INVALIDARG: 0x80070057,
} as const;

export type ResultCode = keyof typeof resultCodes;

/** Components and the interface each one speaks through. */
const interfaces = {
  VirtualBoxWrap: "IVirtualBox",
  MachineWrap: "IMachine",
  SessionMachine: "IMachine",
  MediumWrap: "IMedium",
  StorageControllerWrap: "IStorageController",
  NetworkAdapterWrap: "INetworkAdapter",
  NATEngineWrap: "INATEngine",
  NATNetworkWrap: "INATNetwork",
  HostWrap: "IHost",
  HostNetworkInterfaceWrap: "IHostNetworkInterface",
  SerialPortWrap: "ISerialPort",
  ParallelPortWrap: "IParallelPort",
  ConsoleWrap: "IConsole",
  GraphicsAdapterWrap: "IGraphicsAdapter",
  SharedFolderWrap: "ISharedFolder",
  SystemPropertiesWrap: "ISystemProperties",
} as const;

export type Component = keyof typeof interfaces;

/** A refusal with VirtualBox's code: the command line prints message, details and context. */
export class ResultError extends AnneauError {
  override name = "ResultError";
  readonly code: ResultCode;
  readonly component: Component;

  constructor(code: ResultCode, component: Component, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.component = component;
  }

  /** The line that clients search for the code's name. */
  get details(): string {
    const hex = resultCodes[this.code].toString(16);
    return `Details: code ${this.code} (0x${hex}), component ${this.component}, interface ${interfaces[this.component]}, callee nsISupports`;
  }
}

/** The status name VirtualBox prints for a system error, e.g. `VERR_FILE_NOT_FOUND`. */
export function statusName(error: unknown): string {
  switch ((error as NodeJS.ErrnoException)?.code) {
    case "ENOENT":
      return "VERR_FILE_NOT_FOUND";
    case "ENOTDIR":
      return "VERR_PATH_NOT_FOUND";
    case "EACCES":
    case "EPERM":
      return "VERR_ACCESS_DENIED";
    case "EROFS":
      return "VERR_WRITE_PROTECT";
    case "EEXIST":
    case "ENOTEMPTY":
      return "VERR_ALREADY_EXISTS";
    case "ENOSPC":
    case "EDQUOT":
      return "VERR_DISK_FULL";
    case "EFBIG":
      return "VERR_FILE_TOO_BIG";
    case "EISDIR":
      return "VERR_IS_A_DIRECTORY";
    case "ENAMETOOLONG":
      return "VERR_FILENAME_TOO_LONG";
    case "EMFILE":
    case "ENFILE":
      return "VERR_TOO_MANY_OPEN_FILES";
    default:
      return "VERR_GENERAL_FAILURE";
  }
}

/** The status name of the system error behind an image error: its cause, or the code at the end of its line. */
export function hostStatusOf(error: Error): string | undefined {
  const cause = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  const code = typeof cause === "string" ? cause : /\((E[A-Z0-9]+)\)$/.exec(error.message)?.[1];
  return code === undefined ? undefined : statusName({ code });
}

/** Turns a system error about `path` into a ResultError; other errors pass. */
export function fileError(error: unknown, doing: string, path: string, component: Component): Error {
  if (typeof (error as NodeJS.ErrnoException)?.code !== "string") return error as Error;
  return new ResultError("VBOX_E_FILE_ERROR", component, `${doing} '${path}' (${statusName(error)})`, {
    cause: error,
  });
}
