/** Builds showvminfo's two layouts side by side: `key="value"` lines for machines, padded labels for people. */

const labelColumns = 28;

export class InfoReport {
  readonly isMachineReadable: boolean;
  private readonly lines: string[] = [];

  constructor(isMachineReadable: boolean) {
    this.isMachineReadable = isMachineReadable;
  }

  /** A text value: quoted for machines. */
  text(key: string, label: string, value: string, humanValue = value): void {
    this.both(`${key}="${escapeValue(value)}"`, label, humanValue);
  }

  /** A number: bare for machines, with a unit for people. */
  number(key: string, label: string, value: number, unit = ""): void {
    this.both(`${key}=${value}`, label, `${value}${unit}`);
  }

  /** on/off, enabled/disabled. */
  flag(key: string, label: string, value: boolean): void {
    this.both(`${key}="${value ? "on" : "off"}"`, label, value ? "enabled" : "disabled");
  }

  both(machine: string, label: string, humanValue: string): void {
    this.lines.push(this.isMachineReadable ? machine : `${label.padEnd(labelColumns)} ${humanValue}`.trimEnd());
  }

  /** A line of one layout only. */
  machine(line: string): void {
    if (this.isMachineReadable) this.lines.push(line);
  }

  human(line: string): void {
    if (!this.isMachineReadable) this.lines.push(line);
  }

  /** A key that is quoted itself, because names of controllers are part of it. */
  quoted(key: string, value: string): void {
    this.machine(`"${escapeValue(key)}"="${escapeValue(value)}"`);
  }

  toString(): string {
    return `${this.lines.join("\n")}\n`;
  }
}

/** `"` and `\` get a backslash. */
export function escapeValue(value: string): string {
  return value.replace(/["\\]/g, "\\$&");
}
