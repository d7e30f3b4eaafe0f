// The page as a whole: its state, what the engine answers, and the views that show both.

import { h, oncePerFrame, put } from "./dom.js";
import { SPECIALS } from "./codec.js";
import { compareView } from "./compare.js";
import { frontView, headView } from "./front.js";
import { heatMap } from "./map.js";
import { saveView } from "./save.js";
import { searchView } from "./tree.js";
import { stage } from "./stage.js";
import { stepPanel } from "./step.js";
import { rowsOf } from "./spread.js";
import { tourView } from "./tour.js";
import { trustView } from "./reasons.js";
import { LANGS, speaker } from "./words.js";
import { fromHash, PLAIN } from "./state.js";

export const PANELS = { map: heatMap, search: searchView, trust: trustView, compare: compareView, tour: tourView, save: saveView };
const MANY = 40, PAUSE = 200; // from so many tokens on, so many milliseconds between two looks at what streams in, or more where looks are slow
const OF_TRACE = ["map", "save"];
const fresh = (values) => ({
  run: 0, tokens: [], unknown: [], use: [], steps: [], rows: [], text: "", ids: [], logp: 0, finished: true, done: false, problem: "", weights: null,
  weightsKind: "attention", ...values,
});

export class App {
  constructor(root, data, state, engine) {
    Object.assign(this, { root, data, state, engine, trace: data.trace, models: data.models });
    this.result = fresh({});
    this.pointer = this.held = this.selected = null;
    this.soon = oncePerFrame(() => this.show());
    [this.shown, this.pause] = [0, PAUSE];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.colours());
    addEventListener("hashchange", () => this.follow());
    addEventListener("keydown", (event) => this.key(event));
  }

  get model() {
    return this.models[this.state.model] ?? { name: "", attends: this.trace.weights !== null, features: [], longest: Infinity };
  }

  // A token of the model's target vocabulary.
  token(id) {
    const { source, target } = this.model.text;
    return SPECIALS[id] ?? (target ?? source).tokens[id - SPECIALS.length];
  }

  get theme() {
    return this.state.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }

  get pointed() {
    return this.pointer ?? this.held ?? (this.selected === null ? null : { side: "output", at: this.selected });
  }

  get panels() {
    return Object.keys(PANELS).filter((name) => !this.trace || OF_TRACE.includes(name));
  }

  // Makes the whole page anew, in the language of the state.
  mount() {
    this.t = speaker(this.state.lang);
    document.documentElement.lang = this.state.lang;
    this.head = headView(this);
    this.front = frontView(this);
    this.stage = stage(this);
    this.step = stepPanel(this);
    this.tabs = h("div", { class: "tabs", role: "tablist", "aria-label": this.t("views"), onkeydown: (event) => this.turn(event) });
    this.place = h("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: -1 });
    put(this.root, this.head.root, h("main", {}, this.front.root, this.stage.root, this.step.root,
      h("div", { class: "lower" }, this.tabs, this.place)));
    document.documentElement.dataset.theme = this.theme;
    this.open(this.state.panel);
  }

  colours() {
    document.documentElement.dataset.theme = this.theme;
    this.show();
  }

  open(panel, focus = false) {
    this.state.panel = this.panels.includes(panel) ? panel : "map";
    put(this.tabs, this.panels.map((name) => h("button", {
      role: "tab", type: "button", id: `tab-${name}`, "aria-controls": "panel", "aria-selected": String(name === this.state.panel),
      tabindex: name === this.state.panel ? 0 : -1, onclick: () => this.open(name, true),
    }, this.t(name))));
    this.view = PANELS[this.state.panel](this);
    this.place.setAttribute("aria-labelledby", `tab-${this.state.panel}`);
    put(this.place, h("h2", { class: "unseen" }, this.t(this.state.panel)), this.view.root);
    if (focus) {
      this.selected = null;
      this.tabs.querySelector("[aria-selected=true]").focus();
    }
    this.keep();
    this.show();
  }

  turn(event) {
    const at = this.panels.indexOf(this.state.panel), n = this.panels.length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: n - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.open(this.panels[(to + n) % n], true);
  }

  show() {
    if (!this.view) return;
    const began = performance.now();
    this.head.update();
    this.front.update();
    this.stage.update();
    this.step.update();
    if (this.result.done || this.result.steps.length < MANY) this.view.update();
    this.shown = performance.now();
    this.pause = Math.max(PAUSE, 5 * (this.shown - began));
  }

  // Shows what has come; while much is coming, not more often than the reader can see.
  refresh() {
    clearTimeout(this.later);
    if (this.result.done || this.result.steps.length < MANY || performance.now() - this.shown > this.pause) this.soon();
    else this.later = setTimeout(() => this.soon(), this.pause);
  }

  paint() {
    this.stage.paint();
    this.view.paint?.();
  }

  // -- what the reader does

  write(text) {
    this.state.renew({ text });
    this.pointer = this.held = this.selected = null;
    this.run();
  }

  take(example) {
    this.state.renew({ text: example.source, features: example.features, reference: example.gold, gold: example.gold });
    this.pointer = this.held = this.selected = null;
    this.front.fill();
    this.run();
  }

  set(values) {
    this.state.renew(values);
    this.selected = this.held = null;
    this.run();
  }

  point(place) {
    this.pointer = place;
    this.paint();
  }

  hold(place) {
    const same = this.held?.side === place.side && this.held.at === place.at;
    this.held = same ? null : place;
    this.selected = null;
    this.step.update();
    this.paint();
  }

  select(at) {
    const before = this.selected;
    this.selected = before === at ? null : at;
    this.held = null;
    this.step.update();
    this.view.selected?.();
    this.paint();
    if (at === null && before !== null) this.stage.focusOutput(before);
  }

  lock(t, ids) {
    this.state.lock(this.result.ids, t, ids);
    this.run();
  }

  lockText(t, text) {
    this.engine.ask("cut", { op: "cut", model: this.state.model, text }, ({ ids }) => {
      if (!ids.length || ids.includes(3)) return this.front.say(this.t("noToken", { text }));
      this.front.say("");
      this.lock(t, ids);
    });
  }

  look(t, positions) {
    this.state.look(t, positions);
    this.selected = t;
    this.run();
  }

  forbid(id) {
    this.state.forbid(id);
    this.run();
  }

  undo() {
    this.state.undo();
    this.run();
  }

  redo() {
    this.state.redo();
    this.run();
  }

  release() {
    this.state.release();
    this.run();
  }

  beam(n) {
    this.state.beam = n;
    this.run();
  }

  key(event) {
    if (!(event.ctrlKey || event.metaKey) || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) this.undo();
    else if (key === "y" || (key === "z" && event.shiftKey)) this.redo();
    else return;
    event.preventDefault();
  }

  // -- what the engine does

  question(op, values = {}) {
    const { text, features, prefix, edits, never, beam, model } = this.state;
    return { op, text, features, prefix, edits, never, beam, model, ...values };
  }

  run() {
    this.keep();
    if (this.trace) return this.replay(this.trace);
    const run = this.result.run + 1, { text } = this.state;
    this.result.done = false;
    this.engine.ask("write", this.question("write"), (answer) => {
      if (answer.kind === "source") this.result = fresh({ run, tokens: answer.tokens, unknown: answer.unknown, problem: answer.problem });
      else if (answer.kind === "step") this.result.steps.push(answer), answer.weights && this.result.rows.push(answer.weights);
      else if (answer.kind === "error") Object.assign(this.result, { error: answer.message, done: true });
      else if (answer.kind === "done") {
        const rows = answer.weights ? rowsOf(answer.weights, this.result.tokens.length) : [];
        Object.assign(this.result, { ...answer, ids: answer.ids ?? [], rows, done: true, kind: "" });
        this.answered = text;
        if (this.selected !== null && this.selected >= this.result.steps.length) this.selected = null;
      }
      this.refresh();
    });
  }

  // A recorded output in place of an engine's.
  replay(trace) {
    const steps = trace.tokens.map((token, t) => ({ t, id: t, token, logp: trace.token_log_probabilities?.[t] ?? NaN, top: [] }));
    const rows = (trace.weights ?? []).map((row) => Float32Array.from(row));
    this.result = fresh({ run: 1, tokens: trace.source_tokens, unknown: trace.unknown, steps, rows, text: trace.text, logp: trace.log_probability, finished: trace.finished, done: true, weightsKind: trace.weights_kind });
    this.refresh();
  }

  // -- the link

  keep() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      try {
        history.replaceState(null, "", (this.hash = this.state.toHash()));
      } catch {
        // a frame without an address of its own
      }
    }, 250);
  }

  follow() {
    if (location.hash === this.hash || this.trace) return;
    this.selected = this.held = this.pointer = null;
    this.state.renew({ ...PLAIN, ...fromHash(location.hash, { models: this.models, panels: this.panels, langs: LANGS }) });
    this.mount();
    this.run();
  }
}
