/** What the page uses of noVNC's RFB class (its docs/API.md). */
export default class RFB extends EventTarget {
  constructor(target: HTMLElement, url: string, options?: { shared?: boolean });
  scaleViewport: boolean;
  clipViewport: boolean;
  dragViewport: boolean;
  showDotCursor: boolean;
  background: string;
  readonly capabilities: { readonly power: boolean };
  sendKey(keysym: number, code: string | null, down?: boolean): void;
  sendCtrlAltDel(): void;
  focus(options?: FocusOptions): void;
  disconnect(): void;
}
