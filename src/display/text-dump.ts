/** The characters of a text screen as Unicode lines, for logs, tests and people without a display. */
import type { TextCells } from "../backend-api/display.ts";
import { codePage437 } from "./code-page-437.ts";

/** One string per row, without the blanks at its end. */
export function textLines(cells: TextCells): string[] {
  const lines: string[] = [];
  for (let row = 0; row < cells.rows; row++) {
    let line = "";
    for (let column = 0; column < cells.columns; column++) {
      line += codePage437[cells.characters[row * cells.columns + column]];
    }
    lines.push(line.trimEnd());
  }
  return lines;
}

/** The screen as one text; blank rows at its end are left out. */
export function textDump(cells: TextCells): string {
  return textLines(cells).join("\n").trimEnd();
}
