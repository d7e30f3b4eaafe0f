// A second signal beside attention: how much likelier the output is with each source token than without it (occlusion).

import { END } from "./codec.js";
import { forced } from "./search.js";

// Yields after each source token; returns {drop: [T][S-1], total: [S-1]}, in nats: log p(y_t | x) - log p(y_t | x without x_s).
export function* occlusion(engine, ids, target, edits) {
  const whole = yield* collect(forced(engine, ids, target, edits));
  const drop = target.map(() => []), total = [];
  for (let s = 0; s < ids.length - 1; s++) {
    const without = [...ids.slice(0, s), ...ids.slice(s + 1)];
    const steps = yield* collect(forced(engine, without, target));
    target.forEach((_, t) => drop[t].push(whole[t].logp - steps[t].logp));
    total.push(sum(drop.map((row) => row[s])));
  }
  return { drop, total };
}

function* collect(steps) {
  const list = [];
  for (const step of steps) list.push(step);
  yield null;
  return list;
}

const sum = (list) => list.reduce((a, b) => a + b, 0);

// Spearman's rank correlation of two lists; null where one of them is constant or there are fewer than two values.
export function rankCorrelation(a, b) {
  return a.length < 2 ? null : correlation(ranks(a), ranks(b));
}

function ranks(values) {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  const out = new Array(values.length);
  for (let i = 0; i < order.length; ) {
    let j = i;
    while (j + 1 < order.length && values[order[j + 1]] === values[order[i]]) j++;
    for (let k = i; k <= j; k++) out[order[k]] = (i + j) / 2;
    i = j + 1;
  }
  return out;
}

function correlation(a, b) {
  const mean = (list) => sum(list) / list.length;
  const ma = mean(a), mb = mean(b);
  let ab = 0, aa = 0, bb = 0;
  a.forEach((x, i) => {
    ab += (x - ma) * (b[i] - mb);
    aa += (x - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : null;
}

// For each step, the rank correlation of its weights (</s> left out) and the sizes of its drops; and their mean.
export function agreement(weights, drop, S, ids) {
  const real = S - (ids[S - 1] === END ? 1 : 0);
  const steps = drop.map((row, t) => rankCorrelation(Array.from(weights.subarray(t * S, t * S + real)), row.map(Math.abs)));
  const known = steps.filter((r) => r !== null);
  return { steps, mean: known.length ? sum(known) / known.length : null };
}
