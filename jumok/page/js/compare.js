// Up to four models on one source: outputs, heat maps that point together, differences, and what each makes of a growing source.

import { bdi, h, put } from "./dom.js";
import { rgbOf } from "./color.js";
import { differenceView } from "./difference.js";
import { distance, distances } from "./apart.js";
import { grid } from "./grid.js";
import { label } from "./labels.js";
import { rowsOf } from "./spread.js";
import { exact } from "./map.js";
import { minus } from "./stage.js";

const MOST = 60; // tokens of a side that are drawn

export function compareView(app) {
  const { t } = app;
  if (app.models.length < 2) return { root: h("p", { class: "hint wide" }, t("compareOne")), update() {} };
  const cards = app.models.map((model, i) => card(app, model, i)), between = differenceView(app, cards);
  const told = h("div", { class: "note", role: "status" });
  const body = h("tbody"), table = h("table", { class: "growing" }, h("caption", { class: "unseen" }, t("bottleneck")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("source")), app.models.map((m) => h("th", { scope: "col" }, m.name)))), body);
  const root = h("div", { class: "compare" }, h("p", { class: "hint wide" }, t("compareIntro")), h("div", { class: "cards" }, cards.map((c) => c.root)), told, between.root,
    h("h3", {}, t("bottleneck")), h("p", { class: "hint" }, t("bottleneckHint")), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": t("bottleneck") }, table));
  let asked = null;

  function update() {
    if (!app.result.done || asked === app.result) return paint();
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
    between.update();
    if (!first.done) return;
    put(told, others.filter((other) => other.done).map((other) => {
      const at = cards.findIndex((each) => each.result === other), same = first.text === other.text, apart = distance(first, other);
      cards[at].apart(new Map((distances(first, other) ?? []).map(([, j, d]) => [j, d.toFixed(2)])));
      return h("div", {}, `${app.models[at].name}: ${t(same ? "sameOutput" : "otherOutput")}${apart === null ? "" : `; ${t("difference", { n: apart.toFixed(2) })}`}.`);
    }));
  }

  const paint = () => [...cards, between].forEach((each) => each.draw());
  return { root, update, paint, place: (i, step, s) => cards[i].place(step, s) };
}

const nothing = () => ({ tokens: [], steps: [], rows: [], text: "", done: false });

function card(app, model, index) {
  const { t } = app;
  const out = h("p", { class: "said" }), note = h("p", { class: "hint" }), map = grid(app, `${t("map")}: ${model.name}`);
  const root = h("article", { class: "card", "aria-label": model.name }, h("h3", {}, model.name), out, map.root, note);
  const own = { root, ask, apart: show, draw: map.draw, place: map.place, result: nothing() };

  function ask(question, i, told) {
    app.engine.ask(`compare-${index}`, { ...question, op: "write", model: i }, (answer) => {
      if (answer.kind === "source") own.result = { ...nothing(), tokens: answer.tokens };
      else if (answer.kind === "step") own.result.steps.push(answer);
      else if (answer.kind === "done") {
        Object.assign(own.result, { text: answer.text, done: true, rows: answer.weights ? rowsOf(answer.weights, own.result.tokens.length) : [] });
        put(out, bdi(answer.text || "∅"));
        note.textContent = `${t("logp", { n: minus(answer.logp, 3) })}${model.attends ? "" : ` · ${t("noAttention")}`}`;
        show(null);
        told();
      }
    });
  }

  // apart: step -> how far its weights are from the first model's.
  function show(apart) {
    const { rows, steps, tokens } = own.result;
    const about = (i, s) => t("cell", { out: label(steps[i].token), step: i + 1, source: label(tokens[s]), position: s + 1, w: exact(rows[i][s]) });
    map.show({
      heads: tokens.slice(0, MOST).map(label), sides: steps.slice(0, MOST).map((step) => label(step.token)), rows: rows.slice(0, MOST).map((row) => row.subarray(0, MOST)),
      color: (x) => rgbOf(x, app.theme), write: exact, short: () => "", words: about, more: apart?.size ? { title: "Δ", values: apart } : null,
    });
  }

  return own;
}
