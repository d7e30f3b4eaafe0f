// Elements: made with text, never with HTML; a tooltip; and what a view needs of the browser.

const SVG = "http://www.w3.org/2000/svg";

// h("button", {class: "x", onclick, "aria-label": "…"}, "text", other) -> element. A false, null or undefined value is left out.
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

export function s(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([k, v]) => element.style.setProperty(k, v));
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

// Text in a direction of its own.
export const bdi = (text, props = {}) => h("bdi", { dir: "auto", ...props }, text);

// The arrow keys move among the [data-item] of a row, or of a table with so many columns; only one of them is reached by Tab.
export function roving(row, columns = 1) {
  row.addEventListener("keydown", (event) => {
    const items = [...row.querySelectorAll("[data-item]")], at = items.indexOf(document.activeElement);
    const back = getComputedStyle(row).direction === "rtl" ? "ArrowRight" : "ArrowLeft";
    const on = back === "ArrowLeft" ? "ArrowRight" : "ArrowLeft";
    const move = { [back]: -1, ArrowUp: -columns, [on]: 1, ArrowDown: columns }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : move === undefined ? -1 : at + move;
    if (at < 0 || to < 0 || to >= items.length) return;
    event.preventDefault();
    items.forEach((item, i) => (item.tabIndex = i === to ? 0 : -1));
    items[to].focus();
  });
}

let tip = null;

// Shows lines of text beside an element, or at a point {x, y} of the window.
export function showTip(lines, at) {
  tip ??= h("div", { class: "tip", role: "tooltip", id: "tip" });
  if (!tip.isConnected) (document.querySelector("main") ?? document.body).append(tip);
  put(tip, lines.map((line) => h("div", {}, line)));
  tip.hidden = false;
  const box = at.getBoundingClientRect?.(), own = tip.getBoundingClientRect();
  const x = box ? box.left + box.width / 2 : at.x, y = box ? box.top : at.y - 12;
  const left = Math.min(Math.max(8, x - own.width / 2), innerWidth - own.width - 8);
  const above = y - own.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : (box ? box.bottom : at.y + 12) + 8}px`;
}

export function hideTip() {
  if (tip) tip.hidden = true;
}

export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// Calls a function once in the next frame, however often it is asked for.
export function oncePerFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
