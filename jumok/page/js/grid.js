// A small heat map, of weights or of differences: a canvas to point at, arrow keys that go through it, and the same as a table.

import { h, hideTip, put, showTip } from "./dom.js";
import { columnHeads, fitted, widest } from "./canvas.js";
import { css, textOn } from "./color.js";

const MORE = 44, LEAST = 5, NUMBERS = 26, WIDE = 96; // pixels; in cells of NUMBERS and more stand numbers
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// name: of the map, for screen readers. mostly: the largest cell, in pixels.
// `show` takes {heads, sides, rows: numbers [T][S], color(x) -> [r, g, b], write(x) -> text, short(x) -> text in a cell or "",
// words(t, s) -> text about a cell, more: {title, values: Map of t -> text} | null}.
export function grid(app, name, mostly = 18) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const pad = h("div", { class: "grid", tabindex: 0, role: "application", "aria-label": name }, canvas);
  const spoken = h("p", { class: "unseen", "aria-live": "polite" });
  const table = h("table", {}), root = h("div", {}, pad, spoken, h("div", { class: "unseen" }, table));
  let shown = null, cursor = null, lay = null;

  function show(values) {
    shown = values;
    cursor = null;
    const cells = ({ rows, write }, t) => Array.from(rows[t], (x) => h("td", {}, write(x)));
    put(table, h("caption", {}, name), h("thead", {}, h("tr", {}, h("td", {}), values.heads.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, values.rows.map((_, t) => h("tr", {}, h("th", { scope: "row" }, values.sides[t]), cells(values, t)))));
    root.hidden = !values.rows.length;
    draw();
  }

  function draw() {
    if (!shown?.rows.length || !root.isConnected) return;
    const { heads, sides, rows, color, short, more } = shown, S = heads.length, T = rows.length;
    const context = canvas.getContext("2d"), scale = devicePixelRatio || 1;
    context.font = "12px system-ui, sans-serif";
    const left = Math.ceil(widest(context, sides, WIDE)) + 12, longest = widest(context, heads, WIDE), right = more ? MORE : 2;
    const cell = Math.max(LEAST, Math.min(mostly, Math.floor(((pad.clientWidth || 320) - left - right) / S))), tall = Math.min(Math.max(cell, 14), 30);
    const turned = longest > cell - 2, named = cell >= 10, top = !named ? 6 : turned ? Math.ceil(0.83 * longest) + 16 : 24;
    const width = left + cell * S + Math.max(right, named && turned ? 0.6 * longest : 0), height = top + tall * T + 2;
    lay = { left, top, cell, tall };
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    context.scale(scale, scale);
    const style = getComputedStyle(root), ink = style.getPropertyValue("--ink"), at = app.pointed;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = ink;
    if (named) columnHeads(context, heads, { left, cell, y: top - 10, turned, most: WIDE, color: () => ink });
    context.textAlign = "right";
    const end = left + cell * S + MORE - 4;
    if (more) context.fillText(more.title, end, top - 10);
    rows.forEach((row, t) => {
      const y = top + tall * t;
      context.fillStyle = ink;
      context.textAlign = "right";
      context.fillText(fitted(context, sides[t], WIDE), left - 8, y + tall / 2);
      if (more?.values.has(t)) context.fillText(more.values.get(t), end, y + tall / 2);
      row.forEach((x, s) => {
        const filled = color(x);
        context.fillStyle = css(filled);
        context.fillRect(left + cell * s + 0.5, y + 0.5, cell - 1, tall - 1);
        if (cell < NUMBERS || !short(x)) return;
        context.fillStyle = textOn(filled);
        context.textAlign = "center";
        context.font = "11px system-ui, sans-serif";
        context.fillText(short(x), left + cell * (s + 0.5), y + tall / 2);
        context.font = "12px system-ui, sans-serif";
      });
    });
    context.strokeStyle = style.getPropertyValue("--accent");
    context.lineWidth = 2;
    if (at?.side === "source" && at.at < S) context.strokeRect(left + cell * at.at, top, cell, tall * T);
    context.lineWidth = 3;
    if (cursor) context.strokeRect(left + cell * cursor.s, top + tall * cursor.t, cell, tall);
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const s = Math.floor((event.clientX - box.left - lay.left) / lay.cell), t = Math.floor((event.clientY - box.top - lay.top) / lay.tall);
    if (!shown?.rows[t] || !(s >= 0 && s < shown.heads.length)) return leave();
    app.point({ side: "source", at: s });
    showTip([shown.words(t, s)], { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointerleave", leave);
  pad.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move || !shown?.rows.length) return;
    event.preventDefault();
    const inside = (x, n) => Math.min(Math.max(x, 0), n - 1);
    cursor = cursor ? { t: inside(cursor.t + move[0], shown.rows.length), s: inside(cursor.s + move[1], shown.heads.length) } : { t: 0, s: 0 };
    app.point({ side: "source", at: cursor.s });
    spoken.textContent = shown.words(cursor.t, cursor.s);
    const box = canvas.getBoundingClientRect();
    showTip([spoken.textContent], { x: box.left + lay.left + lay.cell * (cursor.s + 0.5), y: box.top + lay.top + lay.tall * cursor.t });
  });
  pad.addEventListener("blur", () => ((cursor = null), leave()));

  function leave() {
    hideTip();
    app.point(null);
  }

  new ResizeObserver(() => draw()).observe(pad);
  // The middle of a cell on the canvas, in pixels.
  const place = (t, s) => lay && { x: lay.left + lay.cell * (s + 0.5), y: lay.top + lay.tall * (t + 0.5) };

  return { root, show, draw, place };
}
