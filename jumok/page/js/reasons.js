// Trust: occlusion beside attention, and how far the two agree.

import { h, hideTip, put, roving, showTip } from "./dom.js";
import { css, rgbOf, textOn } from "./color.js";
import { label } from "./labels.js";

const MOST = 80; // source tokens that are left out one by one

export function trustView(app) {
  const { t } = app;
  const number = h("p", { class: "figure", role: "status" }), scale = h("p", { class: "hint" }, t("trustScale"));
  const holder = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": t("dropCaption") });
  const root = h("div", { class: "trust" }, h("p", { class: "hint wide" }, t("trustIntro")), number, scale, holder);
  let asked = null, answer = null, theme = "";

  function update() {
    const { result } = app;
    if (!result.done) return;
    if (asked === result) return void (answer && theme !== app.theme && draw());
    asked = result;
    answer = null;
    put(holder);
    if (!result.steps.length) return void (number.textContent = t("empty"));
    if (result.tokens.length > MOST) return void (number.textContent = t("tooMany", { n: result.tokens.length, most: MOST }));
    number.textContent = t("working");
    const S = result.tokens.length, flat = result.rows.length ? new Float32Array(result.rows.length * S) : null;
    result.rows.forEach((row, i) => flat.set(row, i * S));
    app.engine.ask("trust", app.question("occlude", { target: result.ids, weights: flat }), (told) => {
      if (told.problem || told.kind === "error") return void (number.textContent = told.message ?? t("trustNone"));
      answer = told;
      const mean = told.agree?.mean ?? null;
      number.textContent = mean === null ? t("trustNone") : t("trustAgree", { n: mean.toFixed(2).replace("-", "−") });
      number.dataset.value = mean === null ? "" : mean.toFixed(6);
      draw();
    });
  }

  // For each output token two lines of cells: where it looked, and what it would have lost.
  function draw() {
    theme = app.theme;
    const { result } = app, heads = result.tokens.slice(0, -1), most = Math.max(1e-6, ...answer.drop.flat().map(Math.abs));
    let reached = 0; // by Tab, the first cell; arrows go on from it
    const cell = (share, text, words) => {
      const color = rgbOf(share, app.theme), tell = (e) => showTip([words], e.currentTarget);
      return h("td", { "data-item": true, tabindex: reached++ ? -1 : 0, "aria-label": words, style: { background: css(color), color: textOn(color) },
        onpointerenter: tell, onpointerleave: hideTip, onfocus: tell, onblur: hideTip }, text);
    };
    const th = (text, scope, more = {}) => h("th", { scope, ...more }, text);
    const table = h("table", { class: "cells" }, h("caption", { class: "unseen" }, t("dropCaption")),
      h("thead", {}, h("tr", {}, th(t("output"), "col"), h("td", {}), heads.map((x) => th(label(x), "col")))),
      h("tbody", {}, result.steps.map((step, i) => [
        result.rows[i] ? h("tr", { class: "first" }, th(label(step.token), "row", { rowspan: 2 }), th(t("attention"), "row", { class: "kind" }),
          heads.map((x, s) => cell(result.rows[i][s], result.rows[i][s] < 0.095 ? "" : (100 * result.rows[i][s]).toFixed(0), `${t("attention")}: ${label(step.token)} ← ${label(x)} ${(100 * result.rows[i][s]).toFixed(1)} %`))) : null,
        h("tr", {}, result.rows[i] ? null : th(label(step.token), "row"), th(t("occlusion"), "row", { class: "kind" }),
          heads.map((x, s) => cell(Math.max(0, answer.drop[i][s]) / most, Math.abs(answer.drop[i][s]) < 0.05 ? "" : signless(answer.drop[i][s]),
            t("dropOf", { out: label(step.token), source: label(x), d: signed(-answer.drop[i][s]) })))),
      ])),
      h("tfoot", {}, h("tr", {}, th(t("dropTotal"), "row"), h("td", {}), answer.total.map((d) => h("td", {}, signed(-d, 1))))));
    roving(table, heads.length);
    put(holder, table);
  }

  return { root, update, paint() {} };
}

const signless = (x) => x.toFixed(1).replace("-", "−");
const signed = (x, digits = 3) => (x >= 0 ? "+" : "−") + Math.abs(x).toFixed(digits);
