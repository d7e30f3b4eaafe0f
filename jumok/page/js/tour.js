// The tour: the lecture step by step, with the numbers of the reader's own source, as the engine computes them now.

import { bdi, h, put, roving, s } from "./dom.js";
import { label } from "./labels.js";
import { percent, top } from "./stage.js";
import { tourEn, tourLabelsEn } from "./tour-en.js";
import { tourKo, tourLabelsKo } from "./tour-ko.js";

const TEXTS = { en: [tourEn, tourLabelsEn], ko: [tourKo, tourLabelsKo] };
const FORMULAS = { dot: "e_t(s) = h_t · h̄_s", general: "e_t(s) = h_t · W_a h̄_s", concat: "e_t(s) = v · tanh(W_q h_t + W_m h̄_s)" };
const READOUTS = { tanh: "p(y_t) = softmax(W_s tanh(W_c c_t + W_h h_t) + b)", linear: "p(y_t) = softmax(W [c_t ; h_t] + b)" };
const SHOWN = 96; // numbers of a vector that are drawn

// The stops that a model has.
export function stops(model) {
  if (model.posterior) return ["encoder", "bottleneck", "query", "scores", "chain", "mixture", "forcing", "limits"];
  if (!model.attends) return ["encoder", "bottleneck", "query", "readout", "forcing", "limits"];
  return ["encoder", "bottleneck", "query", "scores", "softmax", "context", "readout", "forcing", "limits"];
}

export function tourView(app) {
  const { t, state } = app, [texts, words] = TEXTS[state.lang];
  const say = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  const all = stops(app.model);
  const title = h("h2", { tabindex: -1 }), text = h("p", { class: "lesson" }), body = h("div", { class: "numbers" }), count = h("span", { class: "hint" });
  const back = h("button", { class: "button", type: "button", onclick: () => go(-1) }, t("back"));
  const next = h("button", { class: "button main", type: "button", onclick: () => go(1) }, t("next"));
  const steps = h("div", { class: "chips", role: "group", "aria-label": words.step });
  const root = h("div", { class: "tour" }, h("div", { class: "row" }, title, count), text, steps, body, h("div", { class: "row" }, back, next));
  roving(steps);
  state.tour = Math.min(state.tour, all.length - 1);
  let asked = "", inside = null, answered = null;

  function go(by) {
    state.tour = Math.min(Math.max(state.tour + by, 0), all.length - 1);
    app.keep();
    update();
    title.focus();
  }

  function update() {
    const { result } = app;
    if (!result.done) return;
    const step = Math.min(state.step, Math.max(0, result.steps.length - 1)), key = JSON.stringify([result.run, step]);
    if (key !== asked || answered !== result) {
      asked = key;
      answered = result;
      inside = null;
      if (result.steps.length) app.engine.ask("look", app.question("look", { target: result.ids, step }), (answer) => ((inside = answer.kind === "looked" && !answer.problem ? answer : null), show()));
    }
    show();
  }

  function show() {
    const stop = all[state.tour], { result } = app;
    count.textContent = t("of", { n: state.tour + 1, all: all.length });
    back.disabled = state.tour === 0;
    next.disabled = state.tour === all.length - 1;
    const perStep = !["encoder", "bottleneck", "forcing", "limits"].includes(stop);
    chooser(perStep ? result.steps : []);
    if (!inside && stop !== "limits") {
      title.textContent = texts[stop][0];
      text.textContent = result.steps.length ? t("working") : words.empty;
      if (stop !== "forcing") put(body);
      return;
    }
    const [name, lesson] = lessonOf(stop);
    title.textContent = name;
    text.textContent = say(lesson, values(stop));
    if (stop === "forcing" && body.querySelector("#gold")) return;
    put(body, STOPS[stop]());
  }

  function chooser(list) {
    steps.hidden = !list.length;
    const chosen = Math.min(state.step, list.length - 1), had = steps.contains(document.activeElement);
    put(steps, list.slice(0, 60).map((step, i) => h("button", { class: "chip", type: "button", "data-item": true, tabindex: i === chosen ? 0 : -1, "aria-pressed": String(i === chosen), onclick: () => ((state.step = i), app.keep(), update()) }, bdi(label(step.token)))));
    if (had) steps.children[chosen]?.focus();
  }

  function values(stop) {
    const { model } = app;
    if (stop === "limits") return {};
    const at = inside.t, before = app.result.steps.slice(0, at).map((x) => label(x.token)).join(" ") || "<s>";
    const all = { cell: model.cell.toUpperCase(), H: model.hidden, S: inside.tokens.length, t: at + 1, before, name: model.attention, formula: stop === "readout" ? (model.attends ? READOUTS[model.readout] : READOUTS[model.readout].replace("W_c c_t + ", "").replace("[c_t ; h_t]", "h_t")) : FORMULAS[model.attention] };
    if (stop === "softmax") {
      const best = top(inside.weights, 1)[0], max = Math.max(...inside.scores);
      Object.assign(all, { token: label(inside.tokens[best]), e: number(inside.scores[best]), max: number(max), sum: number(inside.scores.reduce((sum, e) => sum + Math.exp(e - max), 0)), w: number(inside.weights[best]) });
    }
    return all;
  }

  // The lesson of a stop: some models have one of their own.
  function lessonOf(stop) {
    const { model } = app;
    if (stop === "softmax" && inside.given) return texts.given;
    const [name, lesson] = texts[stop], more = {
      encoder: [model.bidirectional && words.bothWays, model.reversed && words.reversed],
      query: [model.feeding && words.feeding],
      readout: [model.tied && words.tied],
      mixture: [model.tied && words.tied, model.copy && words.copying],
    }[stop] ?? [];
    return [name, [lesson, ...more.filter(Boolean)].join(" ")];
  }

  const rowOf = (i) => inside.memory.subarray(i * app.model.hidden, (i + 1) * app.model.hidden);
  const STOPS = {
    encoder: () => h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "h̄" }, inside.tokens.map((token, i) => vector(`h̄_${i + 1}`, rowOf(i), label(token)))),
    bottleneck: () => [vector("h_0", inside.first), app.model.attends ? null : h("p", { class: "hint" }, words.noAttention)],
    query: () => [inside.fed ? vector("r_t−1", inside.fed) : null, vector("h_t", inside.query)],
    scores: () => bars(inside.scores, "e", (x) => number(x), true),
    softmax: () => [bars(inside.weights, "a", (x) => number(x)), h("p", { class: "hint" }, say(words.sum, { n: number(inside.weights.reduce((a, b) => a + b, 0)) }))],
    context: () => [h("h3", {}, words.parts), top(inside.weights, 3).map((i) => vector(`${number(inside.weights[i])} × h̄_${i + 1}`, rowOf(i), label(inside.tokens[i]))), vector("c_t", inside.context)],
    chain: () => [inside.arrived && h("p", {}, arrival(inside.arrived)), h("div", { class: "columns" }, inside.reached && column(words.reached, bars(inside.reached, "reached", number)), column(words.jumps, jumps()),
      column(words.prior, bars(inside.weights, "prior", number)), column(words.posterior, bars(app.result.rows[inside.t] ?? [], "posterior", number)))],
    readout: () => [inside.features.length ? vector("r_t", inside.features) : null, likely()],
    mixture: () => h("div", { class: "columns" }, column(words.likely, likely()), inside.kappa && column(words.kappa, bars(inside.kappa, "kappa", number))),
    forcing: () => forcing(),
    limits: () => h("div", { class: "chips" }, h("button", { class: "button", type: "button", onclick: () => app.open("trust", true) }, words.openTrust), h("button", { class: "button", type: "button", onclick: () => app.open("compare", true) }, words.openCompare)),
  };

  // A vector as a strip of cells, and its first numbers.
  function vector(name, numbers, token = "") {
    const list = Array.from(numbers), most = Math.max(1e-6, ...list.map(Math.abs)), shown = list.slice(0, SHOWN);
    const strip = s("svg", { class: "strip", viewBox: `0 0 ${shown.length} 1`, preserveAspectRatio: "none", role: "img", "aria-label": say(words.vector, { name, n: list.length, list: list.slice(0, 4).map(number).join(", ") }) },
      shown.map((x, i) => s("rect", { x: i, width: 1, height: 1, class: x < 0 ? "minus" : "plus", "fill-opacity": (0.06 + 0.94 * (Math.abs(x) / most)).toFixed(3) })));
    return h("div", { class: "vector", "data-name": name }, h("span", { class: "what" }, name, token && " ", token && bdi(token)), strip,
      h("span", { class: "number four" }, list.slice(0, 4).map((x) => h("span", { "data-value": x.toFixed(6) }, number(x)))));
  }

  // A bar for each source token; scores may be negative, and are drawn from the lowest.
  function bars(numbers, name, write, signed = false) {
    const list = Array.from(numbers), low = signed ? Math.min(0, ...list) : 0, most = Math.max(1e-9, ...list) - low;
    return h("ol", { class: "bars", "data-name": name }, list.map((x, i) => h("li", {}, h("div", { class: "bar", style: { "--p": ((x - low) / most).toFixed(4) } },
      bdi(label(inside.tokens[i])), h("span", { class: "number", "data-value": x.toFixed(6) }, write(x))))));
  }

  function jumps() {
    const list = Array.from(inside.jumps), low = Math.min(0, ...list), most = Math.max(1e-9, ...list) - low;
    return h("ol", { class: "bars", "data-name": "jumps" }, list.map((x, i) => h("li", {}, h("div", { class: "bar", style: { "--p": ((x - low) / most).toFixed(4) } },
      h("span", {}, i === list.length - 1 ? `+${i} …` : `+${i}`), h("span", { class: "number", "data-value": x.toFixed(6) }, number(x))))));
  }

  const column = (name, list) => h("div", {}, h("h3", {}, name), list);

  // How the likeliest position came about: the largest terms of its sum.
  function arrival({ at, terms }) {
    const shown = terms.slice(0, 3).filter(([, p, a], i) => i === 0 || p * a >= 0.0005), rest = terms.slice(shown.length).reduce((sum, [, p, a]) => sum + p * a, 0);
    const sum = shown.map(([, p, a]) => `${number(p)} · ${number(a)}`).join(" + ") + (rest >= 0.0005 ? ` + ${number(rest)}` : "");
    return say(words.arrival, { at: at + 1, token: label(inside.tokens[at]), from: shown.map(([from]) => from + 1).join(", "), sum, p: number(inside.weights[at]) });
  }

  function likely() {
    return h("ol", { class: "bars", "data-name": "p" }, inside.top.slice(0, 5).map((one) => h("li", {}, h("div", { class: "bar", style: { "--p": Math.exp(one.logp).toFixed(4) } },
      bdi(label(one.token)), h("span", { class: "number", "data-value": Math.exp(one.logp).toFixed(6) }, percent(Math.exp(one.logp)))))));
  }

  function forcing() {
    const told = h("div", { role: "status" });
    const ask = () => app.engine.ask("gold", app.question("gold", { gold: state.gold }), (answer) => put(told, answer.kind === "gold" && !answer.problem ? judged(answer) : h("p", { class: "hint" }, words.nothing)));
    const input = h("input", { type: "text", id: "gold", value: state.gold, placeholder: t("goldHint"), dir: "auto", autocomplete: "off", spellcheck: "false", oninput: () => ((state.gold = input.value), app.keep(), ask()) });
    ask();
    return h("div", {}, h("label", { for: "gold" }, t("goldTarget")), input, told);
  }

  function judged({ steps: list, free }) {
    const mean = list.reduce((sum, x) => sum + x.loss, 0) / list.length, same = list.filter((x, i) => free[i]?.token === x.token).length;
    return [
      h("p", { class: "figure", "data-value": mean.toFixed(6) }, say(words.lossMean, { n: number(mean) })),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": words.forced }, h("table", { "data-name": "loss" }, h("caption", { class: "unseen" }, words.forced),
        h("thead", {}, h("tr", {}, [t("goldTarget"), words.loss, words.wouldWrite].map((x) => h("th", { scope: "col" }, x)))),
        h("tbody", {}, list.map((x) => h("tr", {}, h("th", { scope: "row" }, bdi(label(x.token))), h("td", { "data-value": x.loss.toFixed(6) }, number(x.loss)), h("td", {}, bdi(label(x.best.token)))))))),
      h("p", {}, h("b", {}, words.free), ": ", bdi(free.map((x) => label(x.token)).join(" "))),
      h("p", { class: "hint" }, say(words.sameTokens, { n: same, all: list.length })),
    ];
  }

  return { root, update, selected: () => app.selected !== null && ((state.step = app.selected), update()) };
}

const number = (x) => (Math.abs(x) >= 100 ? x.toFixed(1) : x.toFixed(3)).replace("-", "−");
