// Search on the page, the twin of jumok/decode/search.py: greedy step by step, beam search with its whole tree, prefixes, edits.
//
// An engine offers read(ids) -> state of one row, step(state, tokens, given) -> {state, logps, weights}, select(state, parents)
// and score(ids, target). Letters as there: K beams, S source positions, V target vocabulary.

import { END, START } from "./codec.js";
import { highest } from "./choice.js";

export const TOP = 10;

// The weights that a reader asks for at a step: the same share for each of these positions.
export function onlyAt(positions, S) {
  const given = new Float32Array(S);
  for (const s of positions) given[s] = Math.fround(1 / positions.length);
  return given;
}

// The weights [K, S] that the edits ask for at step t, or null.
export function asked(edits, t, S, K) {
  const positions = edits?.[t];
  if (!positions?.length) return null;
  const inside = positions.filter((s) => s < S);
  if (!inside.length) return null;
  const row = onlyAt(inside, S);
  const all = new Float32Array(K * S);
  for (let k = 0; k < K; k++) all.set(row, k * S);
  return all;
}

// Yields a step for each token of greedy search: {t, id, logp, top, weights, locked, edited}.
// ask: {ids, limit, prefix: ids that are written whatever the model thinks, edits: {step: source positions to look at alone},
// never: ids that are not written}. `top` has the likeliest tokens, forbidden ones among them. Log-probabilities stay the model's.
export function* greedy(engine, ask) {
  const prefix = ask.prefix ?? [], never = new Set(ask.never);
  const limit = Math.max(ask.limit, prefix.length);
  let state = engine.read(ask.ids), token = START;
  for (let t = 0; t < limit && token !== END; t++) {
    const given = asked(ask.edits, t, ask.ids.length, 1);
    const { state: after, logps, weights } = engine.step(state, [token], given);
    const best = highest(logps, 0, engine.V, TOP);
    const locked = t < prefix.length;
    token = locked ? prefix[t] : never.has(best[0]) ? highest(logps, 0, engine.V, 1, never)[0] : best[0];
    if (token === undefined) return; // everything is forbidden
    state = after;
    yield {
      t,
      id: token,
      logp: logps[token],
      top: best.map((id) => [id, logps[id]]),
      weights: weights && Float32Array.from(weights),
      locked,
      edited: given !== null,
    };
  }
}

// Runs a generator to its end.
export function all(steps) {
  return [...steps];
}

// The log-probability of each token of a given target, its weights, and what the model would have written there.
export function* forced(engine, ids, target, edits) {
  yield* greedy(engine, { ids, limit: target.length, prefix: target, edits });
}

// Beam search. Yields after each step, so that a caller can stop it; returns {hypotheses, levels}.
//
// Hypotheses {ids, logp, score, finished, nodes}: finished ones first, then by falling score; at most nbest.
// levels[t]: the candidates that were kept after step t, each a node {t, token, parent, row, logp, own, score, rank, ended}.
export function* beam(engine, ask) {
  const { beam: K = 1, nbest = 1, penalty = 1 } = ask;
  const prefix = ask.prefix ?? [], never = new Set(ask.never), S = ask.ids.length, limit = Math.max(ask.limit, prefix.length);
  const score = (logp, length) => logp / length ** penalty;
  const levels = [], finished = [], cut = [];
  let state = engine.read(ask.ids), rows = [{ token: START, logp: 0, at: -1 }], floor = -Infinity;
  for (let t = 0; ; t++) {
    const length = t + 1;
    const step = engine.step(state, rows.map((row) => row.token), asked(ask.edits, t, S, rows.length));
    const candidates = t < prefix.length ? forcedCandidate(engine, step, rows, prefix[t]) : continuations(engine, step, rows, 2 * K, never);
    const level = [];
    levels.push(level);
    candidates.forEach((c, rank) => {
      const ends = c.token === END;
      if (ends && rank >= K) return;
      if (!ends && level.filter((n) => !n.ended).length >= K) return;
      const node = { t, token: c.token, parent: rows[c.parent].at, row: c.parent, logp: c.logp, own: c.own, score: score(c.logp, length), rank, ended: ends };
      level.push(node);
      if (ends) finished.push({ node, t, logp: c.logp, score: node.score });
    });
    if (finished.length >= nbest) floor = sorted(finished)[nbest - 1].score;
    const on = level.map((node, at) => ({ ...node, at })).filter((node) => !node.ended);
    const most = on.length ? Math.max(...on.map((node) => node.logp)) : -Infinity;
    const atLimit = limit <= length;
    if (atLimit) cut.push(...on.map((n) => ({ node: level[n.at], t, logp: n.logp, score: n.score })));
    const full = finished.length >= K && floor >= score(most, length);
    yield { t };
    if (atLimit || !on.length || full || floor >= score(most, limit)) break;
    state = engine.select(step.state, on.map((n) => n.row));
    rows = on;
  }
  const hypotheses = [...sorted(finished), ...sorted(cut)].slice(0, nbest).map((tip) => ({
    ...followed(levels, tip),
    logp: tip.logp,
    score: tip.score,
    finished: tip.node.ended,
  }));
  return { hypotheses, levels };
}

function sorted(tips) {
  return [...tips].sort((a, b) => b.score - a.score);
}

function followed(levels, tip) {
  const ids = [], nodes = [];
  for (let t = tip.t, node = tip.node; t >= 0; t--) {
    ids.unshift(node.token);
    nodes.unshift(levels[t].indexOf(node));
    if (t > 0) node = levels[t - 1][node.parent];
  }
  return { ids, nodes };
}

function forcedCandidate(engine, step, rows, token) {
  const own = step.logps[token];
  return [{ token, parent: 0, own, logp: rows[0].logp + own }];
}

function continuations(engine, step, rows, number, never) {
  const found = [];
  rows.forEach((row, k) => {
    const from = k * engine.V;
    for (const token of highest(step.logps, from, engine.V, number, never)) {
      const own = step.logps[from + token];
      found.push({ token, parent: k, own, logp: row.logp + own });
    }
  });
  // sort is stable: of equals the earlier beam, and in it the lower id
  return found.sort((a, b) => b.logp - a.logp).slice(0, number);
}

// Where a reference went in a beam search: the step at which it fell out of the beam (-1: never), and whether the search or the
// model is to blame. gold: ids, END last; goldLogp: its log-probability under the model. same: whether the output is the reference,
// cut into tokens in another way; barred: why the reference cannot be an output ("" if it can).
export function verdict(result, gold, goldLogp, { same = false, barred = "", penalty = 1 } = {}) {
  const best = result.hypotheses[0];
  const found = same || (best && best.ids.length === gold.length && best.ids.every((id, t) => id === gold[t]));
  let parent = -1, fell = -1;
  const path = [];
  for (let t = 0; t < gold.length && fell < 0; t++) {
    const level = result.levels[t] ?? [];
    const at = level.findIndex((node) => node.token === gold[t] && (t === 0 || node.parent === parent));
    if (at < 0) fell = t;
    else path.push((parent = at));
  }
  const score = goldLogp / gold.length ** penalty;
  const kind = barred ? "barred" : found ? "found" : !best?.finished || score > best.score ? "search" : "model";
  return { kind, barred, fell, path, logp: goldLogp, score };
}
