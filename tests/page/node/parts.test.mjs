// Small parts of the page by hand: choices, correlations, spread, labels, colours, state and its hash, CSV and JSON.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "./reference.mjs";
import { highest } from "../../../jumok/page/js/choice.js";
import { common, differences, distance } from "../../../jumok/page/js/apart.js";
import { divergingOf, rgbOf, textOn } from "../../../jumok/page/js/color.js";
import { continuing, label } from "../../../jumok/page/js/labels.js";
import { all, beam, greedy, verdict } from "../../../jumok/page/js/search.js";
import { coverage, entropy, margin, use } from "../../../jumok/page/js/spread.js";
import { fromHash, State } from "../../../jumok/page/js/state.js";
import { rankCorrelation } from "../../../jumok/page/js/trust.js";
import { toCsv } from "../../../jumok/page/js/take.js";
import { safe } from "../../../jumok/page/js/picture.js";
import { WORDS } from "../../../jumok/page/js/words.js";
import { tourEn, tourLabelsEn } from "../../../jumok/page/js/tour-en.js";
import { tourKo, tourLabelsKo } from "../../../jumok/page/js/tour-ko.js";
import { run } from "./load.mjs";

// A backend whose log-probabilities are a table: prefix -> [V] (ids 0 and 1 are never written, 2 is the end).
function planted(table, V = 5, S = 3) {
  const row = (path) => Float32Array.from({ length: V }, (_, v) => Math.log(table[path.join("")]?.[v - 2] ?? 1e-6));
  return {
    V, attends: true,
    read: () => ({ paths: [[]] }),
    step: (state, tokens) => {
      const paths = state.paths.map((path, k) => (tokens[k] === 1 ? path : [...path, tokens[k]]));
      return { state: { paths }, logps: Float32Array.from(paths.flatMap((p) => [...row(p)])), weights: new Float32Array(paths.length * S).fill(1 / S) };
    },
    select: (state, parents) => ({ paths: parents.map((k) => state.paths[k]) }),
  };
}

// greedy writes 3, and is led astray; the best output begins with 4
const TABLE = { "": [0.1, 0.5, 0.4], 3: [0.3, 0.35, 0.35], 4: [0.98, 0.01, 0.01], 33: [0.9, 0.05, 0.05], 34: [0.9, 0.05, 0.05] };
const ask = { ids: [5, 6, 2], limit: 4 };

test("a beam finds what greedy search misses, and says why a reference was not found", () => {
  const engine = planted(TABLE);
  assert.equal(all(greedy(engine, ask))[0].id, 3);
  const result = run(beam(engine, { ...ask, beam: 2, nbest: 2 }));
  assert.deepEqual(result.hypotheses[0].ids, [4, 2]);
  assert.ok(Math.abs(result.hypotheses[0].logp - Math.log(0.4 * 0.98)) < 1e-6);
  const narrow = run(beam(engine, { ...ask, beam: 1 }));
  const judged = verdict(narrow, [4, 2], Math.log(0.4 * 0.98));
  assert.deepEqual([judged.kind, judged.fell], ["search", 0]);
  assert.equal(verdict(result, [4, 2], Math.log(0.4 * 0.98)).kind, "found");
  assert.equal(verdict(result, [4, 4, 2], Math.log(0.4 * 0.01 * 1e-6)).kind, "model");
});

test("a locked prefix is written whatever the model thinks, and costs what the model says", () => {
  const steps = all(greedy(planted(TABLE), { ...ask, prefix: [4] }));
  assert.deepEqual(steps.map((s) => s.id), [4, 2]);
  assert.ok(Math.abs(steps[0].logp - Math.log(0.4)) < 1e-6 && steps[0].locked && !steps[1].locked);
  assert.deepEqual(run(beam(planted(TABLE), { ...ask, prefix: [3], beam: 3 })).hypotheses[0].ids.slice(0, 1), [3]);
});

test("of equals the lower id is first, and pads and starts are never written", () => {
  assert.deepEqual(highest(Float32Array.from([9, 9, 1, 3, 3, 2]), 0, 6, 3), [3, 4, 5]);
});

test("rank correlation, with ties, against numbers worked out by hand", () => {
  assert.equal(rankCorrelation([1, 2, 3, 4], [10, 20, 30, 40]), 1);
  assert.equal(rankCorrelation([1, 2, 3, 4], [4, 3, 2, 1]), -1);
  assert.ok(Math.abs(rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4]) - 0.9486832980505138) < 1e-12);
  assert.equal(rankCorrelation([1, 1, 1], [1, 2, 3]), null);
  assert.equal(rankCorrelation([1], [1]), null);
});

test("entropy, margin, coverage, and what was hardly or much looked at", () => {
  const rows = [[0.5, 0.5, 0], [1, 0, 0], [0.75, 0.25, 0]].map((row) => Float32Array.from(row));
  assert.deepEqual(rows.map(entropy).map((x) => Number(x.toFixed(6))), [1, 0, 0.811278]);
  assert.deepEqual(rows.map(margin), [0, 1, 0.5]);
  assert.deepEqual(coverage(rows, 3), [2.25, 0.75, 0]);
  assert.deepEqual(use(rows, 3), ["over", "", "under"]);
});

test("labels show what cannot be seen", () => {
  const shown = { " ": "␣", "\u00a0": "⍽", "\t": "␉", "\u0301": "◌\u0301", "\u202e": "U+202E", "": "∅", "\u1112": "ㅎ", "\u11ab": "ㄴ", "\u200d": "◌U+200D".slice(1), ab: "ab" };
  for (const [token, wanted] of Object.entries(shown)) assert.equal(label(token), wanted, JSON.stringify(token));
  assert.deepEqual(continuing([..."e\u0301a"]), [false, true, false]);
});

test("a forbidden token is not written, and the others keep what the model says; where all are forbidden, nothing is written", () => {
  const engine = planted(TABLE), steps = all(greedy(engine, { ...ask, never: [3] }));
  assert.deepEqual(steps.map((s) => s.id), [4, 2]);
  assert.ok(Math.abs(steps[0].logp - Math.log(0.4)) < 1e-6 && steps[0].top[0][0] === 3);
  const { hypotheses } = run(beam(engine, { ...ask, never: [4], beam: 3, nbest: 3 }));
  assert.ok(hypotheses.length && hypotheses.every((h) => !h.ids.includes(4)));
  const every = { ...ask, never: [2, 3, 4] };
  assert.deepEqual(all(greedy(engine, every)), []);
  assert.deepEqual(run(beam(engine, { ...every, beam: 2 })).hypotheses, []);
});

test("text on any colour of the ramps has a contrast of 4.5", () => {
  const light = ([r, g, b]) => [r, g, b].map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  for (const theme of ["light", "dark"]) for (const colors of [rgbOf, divergingOf, (w) => divergingOf(-w, theme)]) for (let w = 0; w <= 1; w += 1 / 255) {
    const own = light(colors(w, theme)), ink = textOn(colors(w, theme)) === "#000000" ? 0 : 1;
    assert.ok((Math.max(own, ink) + 0.05) / (Math.min(own, ink) + 0.05) >= 4.5, `${theme} ${w}`);
  }
});

test("more weight is always darker on light pages and lighter on dark ones, so that colours can be told by lightness alone", () => {
  const bright = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  for (const [theme, way] of [["light", -1], ["dark", 1]]) for (const colors of [rgbOf, divergingOf, (w) => divergingOf(-w, theme)]) {
    const steps = Array.from({ length: 21 }, (_, i) => bright(colors(i / 20, theme)));
    steps.slice(1).forEach((x, i) => assert.ok(way * (x - steps[i]) > 0, `${theme}, ${i / 20}: ${steps[i]} ${x}`));
  }
});

test("undo and redo; a new text forgets what was asked for", () => {
  const state = new State({ text: "a" });
  state.lock([3, 4, 5], 1, [9]);
  state.look(1, [2, 0]);
  assert.deepEqual([state.prefix, state.edits], [[3], { 1: [0, 2] }]);
  state.undo();
  assert.deepEqual([state.prefix, state.edits], [[3, 9], {}]);
  state.redo();
  state.undo();
  state.undo();
  assert.equal(state.steered, false);
  state.undo();
  state.lock([3], 0, [7]);
  state.redo();
  assert.deepEqual(state.prefix, [7]);
  state.forbid(7);
  assert.deepEqual([state.prefix, state.never], [[], [7]]);
  state.lock([], 0, [7, 8]);
  assert.deepEqual([state.prefix, state.never], [[7, 8], []]);
  state.renew({ text: "b" });
  assert.deepEqual([state.prefix, state.past], [[], []]);
});

test("a hash gives back the state, whatever the text", () => {
  const known = { models: [{ V: 50 }, { V: 50 }], panels: ["map", "search", "tour"], langs: ["en", "ko"] };
  const state = new State({ text: "a&b=#%25 한글 \u202e", features: ["V", "<b>"], model: 1, beam: 4, panel: "tour", tour: 3, step: 2, lang: "ko", reference: "x y", gold: "é" });
  state.lock([], 0, [5, 6]);
  state.look(2, [1]);
  state.forbid(9);
  const again = new State(fromHash(state.toHash(), known));
  for (const key of ["text", "features", "model", "beam", "panel", "tour", "step", "lang", "reference", "gold", "prefix", "edits", "never"]) assert.deepEqual(again[key], state[key], key);
  assert.deepEqual(fromHash("#p=1.0&e=[]&b=99&m=7&v=no&l=xx&f={}", known), { steer: { prefix: [], edits: {}, never: [] } });
  assert.deepEqual(fromHash("#p=5.6&n=6.7.1x", known).steer, { prefix: [5, 6], edits: {}, never: [] });
  assert.deepEqual(fromHash("#p=5.6&n=6.7", known).steer, { prefix: [5, 6], edits: {}, never: [7] });
  assert.deepEqual([fromHash("#t=0.3", known).tour, fromHash("#t=x", known).tour], [0, undefined]);
});

test("outputs are compared where they agree", () => {
  assert.deepEqual(common(["a", "b", "c"], ["b", "x", "c"]), [[1, 0], [2, 2]]);
  const one = (tokens, rows) => ({ tokens: ["s", "</s>"], steps: tokens.map((token) => ({ token })), rows: rows.map((r) => Float32Array.from(r)) });
  assert.equal(distance(one(["a"], [[1, 0]]), one(["a"], [[0, 1]])), 1);
  assert.equal(distance(one(["a"], [[1, 0]]), one(["b"], [[0, 1]])), null);
  assert.deepEqual(differences(one(["a", "b"], [[1, 0], [0.5, 0.5]]), one(["b"], [[0.25, 0.75]])).map((row) => [...row]), [[0.25, -0.25]]);
  assert.equal(differences(one(["a"], [[1, 0]]), { ...one(["a"], [[1, 0]]), tokens: ["x", "</s>"] }), null);
});

test("CSV and XML keep hostile tokens as text", () => {
  const csv = toCsv({ source_tokens: ['"', "a,b"], tokens: ["\n"], weights: [[0.5, 0.5]], attention: { entropy_bits: [1], margin: [0], coverage: [0.5, 0.5] } });
  assert.equal(csv, ',"""","a,b",entropy (bits),margin\r\n"\n",0.5,0.5,1,0\r\ncoverage,0.5,0.5,,\r\n');
  assert.equal(safe('<b>&"\u0000'), "&lt;b&gt;&amp;&quot;\ufffd");
});

test("both languages have the same words, with the same places for values", () => {
  const places = (text) => [...String(text).matchAll(/\{\w+\}/g)].map((m) => m[0]).sort();
  for (const [one, other] of [[WORDS.en, WORDS.ko], [tourEn, tourKo], [tourLabelsEn, tourLabelsKo]]) {
    assert.deepEqual(Object.keys(one).sort(), Object.keys(other).sort());
    for (const key of Object.keys(one)) assert.deepEqual(places(one[key]), places(other[key]), key);
  }
});

test("the slow reference works out what one step of an LSTM with dot attention is", () => {
  const array = (shape, value) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value) });
  const config = { hidden: 2, layers: 1, bidirectional: false, attention: "dot", readout: "linear", reverse_source: false };
  const layer = (name, value) => ({ [`${name}.w_ih`]: array([8, 2], value), [`${name}.w_hh`]: array([8, 2], value), [`${name}.bias`]: array([8], 0) });
  const engine = openReference(config, {
    "target.embedding": array([4, 2], 0.5), "source.embedding": array([4, 2], 0.5), ...layer("encoder.0.forward", 0.5), ...layer("decoder.0", 0.5),
    "readout.output": array([4, 4], 0.5), "readout.bias": array([4], 0),
  });
  const { logps, weights, state } = engine.step(engine.read([3, 2]), [1]);
  const s = (x) => 1 / (1 + Math.exp(-x)), cell = (x, h, c) => ((c = s(x + h) * c + s(x + h) * Math.tanh(x + h)), [s(x + h) * Math.tanh(c), c]);
  const [h1, c1] = cell(0.5, 0, 0), [h2, c2] = cell(0.5, h1, c1), [q] = cell(0.5, h2, c2);
  assert.ok(Math.abs(state.inner[0].h[0] - q) < 1e-6);
  const e = [2 * q * h1, 2 * q * h2].map(Math.exp), sum = e[0] + e[1];
  weights.forEach((w, i) => assert.ok(Math.abs(w - e[i] / sum) < 1e-6));
  logps.forEach((x) => assert.ok(Math.abs(x - Math.log(0.25)) < 1e-6));
});
