// The page's engine and search against Python's, for the cases in $CASES: the same tokens, and the same bits.
//
// A case: {page, model, text, features, greedy, beams: {size: [hypotheses]}, prefix, never, tree, forced, alternatives}.

import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { ask, bits, open, run } from "./load.mjs";
import { all, beam, forced, greedy, verdict } from "../../../jumok/page/js/search.js";

const cases = JSON.parse(fs.readFileSync(process.env.CASES, "utf8"));
const pages = new Map();
for (const { page } of cases) if (!pages.has(page)) pages.set(page, await open(page));

const each = (name, check) => test(name, () => {
  for (const one of cases) {
    const model = pages.get(one.page)[one.model];
    check(model, one, ask(model, one.text, one.features), `${one.page} ${one.model} ${JSON.stringify(one.text)}`);
  }
});

each("a source is cut into the same tokens", (model, one, asked, what) => assert.deepEqual(asked.tokens, one.source_tokens, what));

each("greedy search writes the same, bit for bit", (model, one, asked, what) => {
  const steps = all(greedy(model.engine, asked)), ids = steps.map((s) => s.id);
  assert.deepEqual(ids.map((id) => model.codec.target.tokens[id]), one.greedy.tokens, what);
  assert.equal(model.codec.text(ids), one.greedy.text, what);
  assert.equal(steps.reduce((sum, s) => sum + s.logp, 0), one.greedy.log_probability, what);
  if (!model.engine.attends) return assert.equal(one.greedy.weights, null);
  const rows = model.engine.posterior ? [model.engine.score(asked.ids, ids).weights] : steps.map((s) => s.weights);
  assert.equal(bits(rows.flatMap((row) => Array.from(row))), bits(one.greedy.weights.flat()), what);
});

each("beam search finds the same", (model, one, asked, what) => {
  for (const [size, wanted] of Object.entries(one.beams)) {
    const { hypotheses } = run(beam(model.engine, { ...asked, beam: Number(size), nbest: wanted.length }));
    assert.deepEqual(named(model, hypotheses), wanted, `${what}, beam ${size}`);
  }
});

const named = (model, hypotheses) => hypotheses.map((h) => ({ tokens: h.ids.map((id) => model.codec.target.tokens[id]), finished: h.finished, logp: h.logp }));
const idsOf = (model, tokens) => tokens.map((token) => model.codec.target.tokens.indexOf(token));

// A greedy and a beam search that are asked for more, against Python's.
function same(model, asked, wanted, what) {
  const steps = all(greedy(model.engine, asked)), ids = steps.map((s) => s.id);
  assert.deepEqual(named(model, [{ ids, finished: ids.at(-1) === 2, logp: steps.reduce((sum, s) => sum + s.logp, 0) }]), wanted.greedy, what);
  const { hypotheses } = run(beam(model.engine, { ...asked, beam: 3, nbest: 3 }));
  assert.deepEqual(named(model, hypotheses), wanted.beam, `${what}, beam`);
}

each("a prefix with a token of one's own is gone on from as in Python", (model, one, asked, what) => same(model, { ...asked, prefix: idsOf(model, one.prefix.tokens) }, one.prefix, what));

each("forbidden tokens are left out as in Python", (model, one, asked, what) => same(model, { ...asked, never: idsOf(model, one.never.tokens) }, one.never, what));

each("the tree is Python's, and so is what became of the reference", (model, one, asked, what) => {
  if (!one.tree) return;
  const { beam: size, reference } = one.tree, result = run(beam(model.engine, { ...asked, beam: size, nbest: size })), kept = {}, paths = [];
  result.levels.forEach((level, t) => paths.push(level.map((node) => {
    const path = [...(t ? paths[t - 1][node.parent] : []), model.codec.target.tokens[node.token]];
    kept[path.join(" ")] = [node.logp, node.score];
    return path;
  })));
  assert.deepEqual(kept, one.tree.kept, what);
  const gold = model.codec.readTarget(reference), logp = all(forced(model.engine, asked.ids, gold)).reduce((sum, s) => sum + s.logp, 0);
  const [best] = result.hypotheses, same = best.finished && model.codec.text(best.ids) === reference;
  const { kind, fell } = verdict(result, gold, logp, { same, barred: gold.includes(3) || gold.length > asked.limit ? "so" : "" });
  assert.deepEqual({ kind, fell }, { kind: one.tree.kind, fell: one.tree.fell }, what);
});

each("a prefix takes the path of the steps: locking what was written changes nothing", (model, one, asked, what) => {
  const free = all(greedy(model.engine, asked));
  for (const n of [1, Math.ceil(free.length / 2), free.length]) {
    const prefix = free.slice(0, n).map((s) => s.id), again = all(greedy(model.engine, { ...asked, prefix }));
    assert.deepEqual(again.map((s) => [s.id, s.logp, s.top]), free.map((s) => [s.id, s.logp, s.top]), what);
    const { hypotheses: [best] } = run(beam(model.engine, { ...asked, prefix, beam: 1 }));
    assert.deepEqual(best.ids, free.map((s) => s.id), what);
  }
});

each("a given target gets the same log-probabilities", (model, one, asked, what) => {
  const target = model.codec.readTarget(one.forced.text);
  const steps = all(forced(model.engine, asked.ids, target));
  const { logps } = model.engine.score(asked.ids, target);
  // the chain's mixture is summed in another order there
  if (model.engine.posterior) steps.forEach((s, t) => assert.ok(Math.abs(s.logp - logps[t]) < 1e-5, what));
  else assert.equal(bits(steps.map((s) => s.logp)), bits(logps), what);
  assert.ok(Math.abs(steps.reduce((sum, s) => sum + s.logp, 0) - one.forced.log_probability) < 1e-5, what);
});

each("the likeliest tokens of a step are those of Python's backend", (model, one, asked, what) => {
  const { prefix, tokens, logps } = one.alternatives, steps = all(greedy(model.engine, { ...asked, prefix: idsOf(model, prefix) }));
  const top = steps[prefix.length].top;
  assert.deepEqual(top.map(([id]) => model.codec.target.tokens[id]), tokens, what);
  assert.deepEqual(top.map(([, logp]) => logp), logps, what);
});

each("attention that is set as it was changes nothing, and set elsewhere it stays where it was set", (model, one, asked, what) => {
  if (!model.engine.attends) return;
  const { engine } = model, state = engine.read(asked.ids), free = engine.step(state, [1]);
  const same = engine.step(state, [1], free.weights);
  assert.equal(bits(same.logps), bits(free.logps), what);
  const edited = all(greedy(engine, { ...asked, edits: { 0: [0] } }))[0];
  assert.deepEqual(Array.from(edited.weights), asked.ids.map((_, s) => (s === 0 ? 1 : 0)), what);
  assert.ok(edited.edited, what);
});
