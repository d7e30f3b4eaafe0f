// How far the attention of two outputs is apart, where both wrote the same token.

import { totalVariation } from "./spread.js";

// [step of a, step of b] for the tokens that both wrote; null where there is nothing to compare.
export function pairs(a, b) {
  const sameSource = a.tokens.length === b.tokens.length && a.tokens.every((token, i) => token === b.tokens[i]);
  if (!sameSource || !a.rows.length || !b.rows.length) return null;
  const list = common(a.steps.map((x) => x.token), b.steps.map((x) => x.token));
  return list.length ? list : null;
}

// [step of a, step of b, total variation of their weights].
export function distances(a, b) {
  return pairs(a, b)?.map(([i, j]) => [i, j, totalVariation(a.rows[i], b.rows[j])]) ?? null;
}

// Their mean.
export function distance(a, b) {
  const list = distances(a, b);
  return list && list.reduce((sum, [, , d]) => sum + d, 0) / list.length;
}

// The weights of a minus those of b, a row for each of the pairs.
export function differences(a, b) {
  return pairs(a, b)?.map(([i, j]) => Float32Array.from(a.rows[i], (w, s) => w - b.rows[j][s])) ?? null;
}

// The positions of a longest common subsequence.
export function common(a, b) {
  const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--) best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
  const found = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) found.push([i++, j++]);
    else if (best[i + 1][j] >= best[i][j + 1]) i++;
    else j++;
  }
  return found;
}
