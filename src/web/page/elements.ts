/** The page's elements. */

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element '${id}'`);
  return found as T;
}

export function addButton(parent: HTMLElement, text: string, onClick: () => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.textContent = text;
  button.addEventListener("click", onClick);
  parent.append(button);
  return button;
}
