// The heat map: a canvas to look at, point at and drag on, and the same as a table.

import { h, hideTip, put, showTip } from "./dom.js";
import { columnHeads, fitted, widest } from "./canvas.js";
import { css, rgbOf, textOn } from "./color.js";
import { isSpecial, label } from "./labels.js";
import { coverage, entropy, margin } from "./spread.js";
import { minus, percent } from "./stage.js";

const MOST = 100; // tokens of a side that are drawn
const PLAIN = 1200; // from so many cells on they are plain squares without numbers
const FONT = 13, WIDE = 110; // pixels: of the letters, and of the longest name

export function heatMap(app) {
  const { t } = app;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const pad = h("div", { class: "map", tabindex: 0, role: "application", "aria-label": t("mapLabel"), "aria-describedby": "map-help" }, canvas);
  const spoken = h("p", { class: "unseen", "aria-live": "polite" });
  const table = h("table", {}), holder = h("div", { class: "unseen", role: "group", "aria-label": t("tableCaption") }, table);
  const swap = h("button", { class: "quiet", type: "button", "aria-pressed": "false", onclick: () => showTable(swap.getAttribute("aria-pressed") !== "true") }, t("asTable"));
  const help = h("p", { class: "hint", id: "map-help" }, t(app.trace ? "mapHelpTrace" : "mapHelp"));
  const root = h("div", {}, h("div", { class: "row" }, help, swap), pad, spoken, holder);
  let lay = null, cursor = null, drag = null, filled = null, filling = 0;

  function showTable(on) {
    swap.setAttribute("aria-pressed", String(on));
    holder.className = on ? "scroll" : "unseen";
    if (on) holder.tabIndex = 0;
    else holder.removeAttribute("tabindex");
    pad.hidden = on;
    if (!on) draw();
  }

  function update() {
    const { rows } = app.result;
    root.classList.toggle("empty", !rows.length);
    if (cursor && (cursor.t >= rows.length || cursor.s >= app.result.tokens.length)) cursor = null;
    draw();
    if (!app.result.done || filled === app.result) return;
    filled = app.result;
    clearTimeout(filling);
    if (rows.length * app.result.tokens.length > PLAIN) filling = setTimeout(fill, 400); // a large table waits for a pause in typing
    else fill();
  }

  function measure(context) {
    const { tokens, steps } = app.result, T = Math.min(steps.length, MOST), S = Math.min(tokens.length, MOST);
    context.font = `${FONT}px system-ui, sans-serif`;
    const heads = tokens.slice(0, S).map(label), sides = steps.slice(0, T).map((x) => label(x.token));
    const left = Math.max(48, widest(context, sides, WIDE)) + 12, longest = widest(context, heads, WIDE), room = pad.clientWidth;
    const numbers = room >= 640 ? 186 : 0;
    const cell = Math.max(14, Math.min(40, Math.floor((room - left - numbers - 4) / S)));
    const turned = longest > cell - 4, topSpace = turned ? longest * 0.83 + 20 : 26;
    const tall = Math.min(cell, 34);
    return { T, S, heads, sides, left, top: topSpace, cell, tall, turned, numbers, width: left + cell * S + Math.max(numbers, turned ? 0.6 * longest : 0) + 4, height: topSpace + tall * T + 52 };
  }

  function draw() {
    const { rows, steps } = app.result;
    if (!rows.length || pad.hidden || !pad.clientWidth) return (lay = null), (canvas.height = 0);
    const context = canvas.getContext("2d"), scale = devicePixelRatio || 1;
    lay = measure(context);
    canvas.width = Math.round(lay.width * scale);
    canvas.height = Math.round(lay.height * scale);
    canvas.style.width = `${lay.width}px`;
    canvas.style.height = `${lay.height}px`;
    context.scale(scale, scale);
    const style = getComputedStyle(root), ink = style.getPropertyValue("--ink"), muted = style.getPropertyValue("--muted");
    const accent = style.getPropertyValue("--accent"), at = app.pointed;
    context.font = `${FONT}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const plain = lay.T * lay.S > PLAIN;
    const y = (t) => lay.top + lay.tall * t, x = (s) => lay.left + lay.cell * s;
    columnHeads(context, lay.heads, { left: lay.left, cell: lay.cell, y: lay.top - 12, turned: lay.turned, most: WIDE, color: (s) => isSpecial(app.result.tokens[s]) ? muted : ink });
    if (plain) pixels(context, rows);
    for (let t = 0; t < lay.T; t++) {
      const row = rows[t];
      if (!row) break;
      context.textAlign = "right";
      context.fillStyle = isSpecial(steps[t].token) ? muted : ink;
      context.fillText(fitted(context, lay.sides[t], WIDE), lay.left - 8, y(t) + lay.tall / 2);
      for (let s = 0; s < lay.S && !plain; s++) {
        const color = rgbOf(row[s], app.theme);
        context.fillStyle = css(color);
        rounded(context, x(s) + 1, y(t) + 1, lay.cell - 2, lay.tall - 2);
        if (row[s] >= 0.095 && lay.cell >= 24) {
          context.fillStyle = textOn(color);
          context.textAlign = "center";
          context.font = "11px system-ui, sans-serif";
          context.fillText((100 * row[s]).toFixed(0), x(s) + lay.cell / 2, y(t) + lay.tall / 2);
          context.font = `${FONT}px system-ui, sans-serif`;
        }
      }
      numbers(context, row, steps[t], y(t) + lay.tall / 2, muted);
    }
    covered(context, y(lay.T), x, muted);
    context.strokeStyle = accent;
    context.lineWidth = 2;
    if (at?.side === "output" && at.at < lay.T) context.strokeRect(lay.left, y(at.at), lay.cell * lay.S, lay.tall);
    if (at?.side === "source" && at.at < lay.S) context.strokeRect(x(at.at), lay.top, lay.cell, lay.tall * lay.T);
    const box = drag ?? (cursor && { t: cursor.t, from: Math.min(cursor.s, cursor.end), to: Math.max(cursor.s, cursor.end) });
    if (box) {
      context.lineWidth = 3;
      context.strokeRect(x(box.from), y(box.t), lay.cell * (box.to - box.from + 1), lay.tall);
    }
  }

  // A large map in one stroke: a pixel for each cell, made larger.
  function pixels(context, rows) {
    const small = document.createElement("canvas"), T = Math.min(lay.T, rows.length), image = new ImageData(lay.S, T);
    for (let i = 0; i < T; i++) for (let s = 0; s < lay.S; s++) image.data.set([...rgbOf(rows[i][s], app.theme), 255], 4 * (i * lay.S + s));
    Object.assign(small, { width: lay.S, height: T });
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, lay.left, lay.top, lay.cell * lay.S, lay.tall * T);
  }

  function rounded(context, left, top, width, height) {
    context.beginPath();
    context.roundRect(left, top, width, height, 3);
    context.fill();
  }

  function numbers(context, row, step, y, muted) {
    if (!lay.numbers) return;
    const from = lay.left + lay.cell * lay.S;
    context.textAlign = "right";
    context.fillStyle = muted;
    [entropy(row).toFixed(2), percent(margin(row)), minus(step.logp, 2)].forEach((text, i) => context.fillText(text, from + 62 * (i + 1) - 4, y));
    if (step.t === 0) {
      context.font = "11px system-ui, sans-serif";
      [t("entropyShort"), t("marginShort"), t("logpShort")].forEach((text, i) => context.fillText(text, from + 62 * (i + 1) - 4, lay.top - 12, 60));
      context.font = `${FONT}px system-ui, sans-serif`;
    }
  }

  function covered(context, y, x, muted) {
    const sums = coverage(app.result.rows, app.result.tokens.length), most = Math.max(1, ...sums);
    context.fillStyle = muted;
    context.textAlign = "right";
    context.font = "11px system-ui, sans-serif";
    context.fillText(fitted(context, t("coverageShort"), lay.left - 8), lay.left - 8, y + 22);
    for (let s = 0; s < lay.S; s++) {
      const tall = (22 * sums[s]) / most;
      context.globalAlpha = 0.45;
      context.fillRect(x(s) + 3, y + 30 - tall, lay.cell - 6, tall);
      context.globalAlpha = 1;
      if (lay.cell >= 24) {
        context.textAlign = "center";
        context.fillText(sums[s].toFixed(1), x(s) + lay.cell / 2, y + 41);
      }
    }
  }

  function cellAt(event) {
    if (!lay) return null;
    const box = canvas.getBoundingClientRect();
    const s = Math.floor((event.clientX - box.left - lay.left) / lay.cell), step = Math.floor((event.clientY - box.top - lay.top) / lay.tall);
    return s >= 0 && s < lay.S && step >= 0 && step < lay.T ? { s, t: step } : null;
  }

  const describe = ({ s, t: step }) => t("cell", {
    out: label(app.result.steps[step].token), step: step + 1, source: label(app.result.tokens[s]), position: s + 1, w: exact(app.result.rows[step][s]),
  });

  canvas.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    if (drag) {
      if (cell) Object.assign(drag, { from: Math.min(drag.start, cell.s), to: Math.max(drag.start, cell.s), moved: drag.moved || cell.s !== drag.start });
      draw();
    } else if (!cell) leave();
    else {
      app.point({ side: "output", at: cell.t });
      showTip([describe(cell)], { x: event.clientX, y: event.clientY });
    }
  });
  canvas.addEventListener("pointerdown", (event) => {
    const cell = cellAt(event);
    if (!cell || event.button || app.trace) return;
    drag = { t: cell.t, start: cell.s, from: cell.s, to: cell.s, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => {
    const done = drag;
    drag = null;
    if (!done) return;
    if (done.moved) app.look(done.t, range(done.from, done.to));
    else app.select(done.t);
  });
  canvas.addEventListener("pointercancel", () => ((drag = null), draw()));
  canvas.addEventListener("pointerleave", () => drag || leave());

  function leave() {
    hideTip();
    app.point(null);
  }

  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  pad.addEventListener("keydown", (event) => {
    if (!lay) return;
    const move = MOVES[event.key];
    cursor ??= { t: 0, s: 0, end: 0 };
    if (move) {
      const s = Math.min(Math.max(cursor.end + move[1], 0), lay.S - 1), step = Math.min(Math.max(cursor.t + move[0], 0), lay.T - 1);
      cursor = event.shiftKey && !move[0] ? { ...cursor, end: s } : { t: step, s, end: s };
      app.point({ side: "output", at: cursor.t });
      spoken.textContent = describe({ t: cursor.t, s: cursor.end });
    } else if (event.key === "Enter" && !app.trace) app.look(cursor.t, range(Math.min(cursor.s, cursor.end), Math.max(cursor.s, cursor.end)));
    else if (event.key === " " && !app.trace) app.select(cursor.t);
    else return;
    event.preventDefault();
    draw();
  });
  pad.addEventListener("blur", () => ((cursor = null), app.point(null)));

  // The table: weights in percent, and the numbers beside them.
  function fill() {
    const { rows, tokens, steps } = app.result;
    if (!rows.length) return put(table);
    const S = Math.min(tokens.length, MOST), sums = coverage(rows, tokens.length);
    const head = (text) => h("th", { scope: "col" }, text);
    put(table, h("caption", {}, t("tableCaption")),
      h("thead", {}, h("tr", {}, head(t("output")), tokens.slice(0, S).map((x) => head(label(x))), head(t("entropyShort")), head(t("marginShort")), head(t("logpShort")))),
      h("tbody", {}, rows.slice(0, MOST).map((row, i) => h("tr", {}, h("th", { scope: "row" }, label(steps[i].token)),
        Array.from(row.subarray(0, S), (w) => h("td", {}, percent(w))),
        [entropy(row).toFixed(2), percent(margin(row)), minus(steps[i].logp, 3)].map((x) => h("td", {}, x))))),
      h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, t("coverageShort")), sums.slice(0, S).map((x) => h("td", {}, x.toFixed(2))), h("td", { colspan: 3 }))));
  }

  new ResizeObserver(() => draw()).observe(pad);
  // The middle of a cell on the canvas, in pixels.
  const place = (step, s) => lay && { x: lay.left + lay.cell * (s + 0.5), y: lay.top + lay.tall * (step + 0.5) };

  return { root, update, paint: draw, place };
}

export const exact = (w) => `${(100 * w).toFixed(2)} %`;
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
