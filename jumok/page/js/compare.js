// Up to four models on one source: outputs, heat maps that point together, differences, and what each makes of a growing source.

import { bdi, h, hideTip, put, showTip } from "./dom.js";
import { css, rgbOf } from "./color.js";
import { label } from "./labels.js";
import { rowsOf, totalVariation } from "./spread.js";
import { exact } from "./map.js";
import { minus } from "./stage.js";

const CELL = 18, MOST = 60;

export function compareView(app) {
  const { t } = app;
  if (app.models.length < 2) return { root: h("p", { class: "hint wide" }, t("compareOne")), update() {} };
  const cards = app.models.map((model, i) => card(app, model, i));
  const told = h("p", { class: "note", role: "status" });
  const body = h("tbody"), table = h("table", { class: "growing" }, h("caption", { class: "unseen" }, t("bottleneck")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("source")), app.models.map((m) => h("th", { scope: "col" }, m.name)))), body);
  const root = h("div", { class: "compare" }, h("p", { class: "hint wide" }, t("compareIntro")), h("div", { class: "cards" }, cards.map((c) => c.root)), told,
    h("h3", {}, t("bottleneck")), h("p", { class: "hint" }, t("bottleneckHint")), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": t("bottleneck") }, table));
  let asked = null;

  function update() {
    if (!app.result.done || asked === app.result) return;
    asked = app.result;
    const same = { text: app.state.text, features: app.state.features, prefix: [], edits: {}, beam: app.state.beam };
    cards.forEach((each, i) => each.ask(same, i, differ));
    put(body);
    app.engine.ask("growing", { ...same, op: "growing", model: 0 }, (answer) => {
      if (answer.kind === "grown") body.append(h("tr", {}, h("th", { scope: "row" }, bdi(answer.text)), answer.outputs.map((text) => h("td", {}, bdi(text)))));
    });
  }

  // In words: the same output or not, and how far attention is apart where both wrote the same token.
  function differ() {
    const [first, ...others] = cards.map((each) => each.result);
    if (!first.done) return;
    told.textContent = others.filter((other) => other.done).map((other, i) => {
      const name = app.models[i + 1].name, same = first.text === other.text;
      const apart = distance(first, other);
      other.apart = new Map((distances(first, other) ?? []).map(([, j, d]) => [j, d]));
      return `${name}: ${t(same ? "sameOutput" : "otherOutput")}${apart === null ? "" : `; ${t("difference", { n: apart.toFixed(2) })}`}.`;
    }).join(" ");
    cards.forEach((each) => each.draw());
  }

  return { root, update, paint: () => cards.forEach((each) => each.draw()) };
}

// For the steps where two outputs agree, [step of a, step of b, total variation of their weights]; null where it cannot be told.
export function distances(a, b) {
  const sameSource = a.tokens.length === b.tokens.length && a.tokens.every((token, i) => token === b.tokens[i]);
  if (!sameSource || !a.rows.length || !b.rows.length) return null;
  const pairs = common(a.steps.map((x) => x.token), b.steps.map((x) => x.token));
  return pairs.length ? pairs.map(([i, j]) => [i, j, totalVariation(a.rows[i], b.rows[j])]) : null;
}

// Their mean.
export function distance(a, b) {
  const list = distances(a, b);
  return list && list.reduce((sum, [, , d]) => sum + d, 0) / list.length;
}

// The positions of a longest common subsequence.
export function common(a, b) {
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--) best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
  const pairs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (best[i + 1][j] >= best[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

function card(app, model, index) {
  const { t } = app;
  const out = h("p", { class: "said" }), canvas = h("canvas", { "aria-hidden": "true" }), note = h("p", { class: "hint" });
  const root = h("article", { class: "card", "aria-label": model.name }, h("h3", {}, model.name), out, canvas, note);
  const own = { root, ask, draw, result: { tokens: [], steps: [], rows: [], text: "", done: false } };

  function ask(question, i, told) {
    app.engine.ask(`compare-${index}`, { ...question, op: "write", model: i }, (answer) => {
      if (answer.kind === "source") own.result = { tokens: answer.tokens, steps: [], rows: [], text: "", done: false };
      else if (answer.kind === "step") own.result.steps.push(answer);
      else if (answer.kind === "done") {
        Object.assign(own.result, { text: answer.text, done: true, rows: answer.weights ? rowsOf(answer.weights, own.result.tokens.length) : [] });
        put(out, bdi(answer.text || "∅"));
        note.textContent = `${t("logp", { n: minus(answer.logp, 3) })}${model.attends ? "" : ` · ${t("noAttention")}`}`;
        draw();
        told();
      }
    });
  }

  const left = 70;
  function draw() {
    const { rows, steps, tokens } = own.result, S = Math.min(tokens.length, MOST), T = Math.min(rows.length, MOST);
    const context = canvas.getContext("2d"), scale = devicePixelRatio || 1;
    const cell = Math.max(5, Math.min(CELL, Math.floor(((root.clientWidth || 320) - left - 74) / Math.max(S, 1))));
    const apart = own.result.apart, width = left + cell * S + (apart?.size ? 40 : 0), height = T ? 24 + cell * T : 0;
    Object.assign(canvas, { width: width * scale, height: height * scale });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    if (!T) return;
    context.scale(scale, scale);
    const style = getComputedStyle(root), at = app.pointed;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.fillStyle = style.getPropertyValue("--ink");
    for (let s = 0; s < S && cell >= 10; s++) (context.textAlign = "center"), context.fillText(label(tokens[s]), left + cell * (s + 0.5), 12, cell + 6);
    if (apart?.size) (context.textAlign = "right"), context.fillText("Δ", width, 12);
    for (let i = 0; i < T; i++) {
      context.fillStyle = style.getPropertyValue("--ink");
      context.textAlign = "right";
      if (apart?.has(i)) context.fillText(apart.get(i).toFixed(2), width, 24 + cell * (i + 0.5));
      context.fillText(label(steps[i].token), left - 6, 24 + cell * (i + 0.5), left - 8);
      for (let s = 0; s < S; s++) (context.fillStyle = css(rgbOf(rows[i][s], app.theme))), context.fillRect(left + cell * s + 0.5, 24 + cell * i + 0.5, cell - 1, cell - 1);
    }
    if (at?.side === "source" && at.at < S) {
      context.strokeStyle = style.getPropertyValue("--accent");
      context.lineWidth = 2;
      context.strokeRect(left + cell * at.at, 24, cell, cell * T);
    }
    own.cell = cell;
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect(), s = Math.floor((event.clientX - box.left - left) / own.cell), i = Math.floor((event.clientY - box.top - 24) / own.cell);
    const row = own.result.rows[i];
    if (!row || !(s >= 0 && s < row.length)) return leave();
    app.point({ side: "source", at: s });
    showTip([t("cell", { out: label(own.result.steps[i].token), step: i + 1, source: label(own.result.tokens[s]), position: s + 1, w: exact(row[s]) })], { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointerleave", leave);

  function leave() {
    hideTip();
    app.point(null);
  }
  return own;
}
