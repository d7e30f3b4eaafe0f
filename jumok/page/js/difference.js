// The difference of two models' attention as a heat map: where one looked more, and where the other did.

import { h, put } from "./dom.js";
import { css, divergingOf } from "./color.js";
import { differences, pairs } from "./apart.js";
import { grid } from "./grid.js";
import { label } from "./labels.js";
import { exact } from "./map.js";

const MOST = 60; // tokens of a side that are drawn

// cards: of the comparison, each with its `result`.
export function differenceView(app, cards) {
  const { t, models } = app;
  const attending = models.flatMap((model, i) => (model.attends ? [i] : []));
  const title = h("h3", {}, t("differenceMap")), why = h("p", { class: "hint", role: "status" });
  if (attending.length < 2) {
    why.textContent = t("differenceOne", { names: models.filter((model) => !model.attends).map((model) => model.name).join(", ") });
    return { root: h("div", {}, title, why), update() {}, draw() {} };
  }
  const [one, other] = attending.slice(0, 2).map((chosen, side) => h("select", { "aria-label": t(side ? "differenceMinus" : "differenceOf"), onchange: () => update() },
    attending.map((i) => h("option", { value: i, selected: i === chosen }, models[i].name))));
  const map = grid(app, t("differenceMap"), 34), legend = h("p", { class: "legend" });
  const root = h("div", { class: "difference" }, title, h("div", { class: "minus" }, one, h("span", {}, "−"), other), why, map.root, legend);

  function update() {
    const [i, j] = [Number(one.value), Number(other.value)], [a, b] = [cards[i].result, cards[j].result];
    const rows = a.done && b.done && i !== j ? differences(a, b) : null;
    why.textContent = !a.done || !b.done ? "" : rows ? t("differenceHint", { n: rows.length, a: a.rows.length, b: b.rows.length }) : t(i === j ? "differenceSame" : "differenceNone");
    legend.hidden = !rows;
    map.root.hidden = !rows;
    if (!rows) return;
    const steps = pairs(a, b).slice(0, MOST);
    const about = (k, s) => {
      const [x, y] = steps[k], from = a.rows[x][s], to = b.rows[y][s];
      return t("differenceCell", { out: label(a.steps[x].token), source: label(a.tokens[s]), a: models[i].name, x: exact(from), b: models[j].name, y: exact(to), d: signed(from - to) });
    };
    map.show({
      heads: a.tokens.slice(0, MOST).map(label), sides: steps.map(([x]) => label(a.steps[x].token)), rows: rows.slice(0, MOST).map((row) => row.subarray(0, MOST)),
      color: (d) => divergingOf(d, app.theme), write: signed, short: (d) => (Math.abs(d) >= 0.095 ? signed(d).replace(/\.\d+ %$/, "") : ""), words: about, more: null,
    });
    paint();
  }

  function paint() {
    const part = (d, chosen) => h("span", {}, h("i", { style: { background: css(divergingOf(d, app.theme)) } }), t("looksMore", { name: models[Number(chosen.value)].name }));
    put(legend, part(0.75, one), part(-0.75, other));
    map.draw();
  }

  return { root, update, draw: paint };
}

const signed = (d) => `${d >= 0 ? "+" : "−"}${(100 * Math.abs(d)).toFixed(1)} %`;
