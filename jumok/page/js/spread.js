// How attention is spread, in numbers, as jumok/explain/spread.py computes them.

export const LEAST = 0.05; // below this at every step, a source token was never looked at
export const MUCH = 2; // from so many steps' worth of attention on, it was looked at a lot

// -Σ a log₂ a of a row
export function entropy(row) {
  let bits = 0;
  for (const a of row) if (a > 0) bits -= a * Math.log2(a);
  return bits + 0;
}

// Largest minus second largest weight of a row; 1 where there is only one
export function margin(row) {
  let first = -Infinity, second = -Infinity;
  for (const a of row) {
    if (a > first) [first, second] = [a, first];
    else if (a > second) second = a;
  }
  return row.length > 1 ? first - second : first;
}

export function rowsOf(weights, S) {
  const rows = [];
  for (let t = 0; S && t < weights.length / S; t++) rows.push(weights.subarray(t * S, (t + 1) * S));
  return rows;
}

// Σ_t a_t(s) for each source position
export function coverage(rows, S) {
  const sums = new Array(S).fill(0);
  for (const row of rows) for (let s = 0; s < S; s++) sums[s] += row[s];
  return sums;
}

// For each source position: "under" (never looked at), "over" (more than two steps' worth), or ""
export function use(rows, S) {
  return coverage(rows, S).map((sum, s) => {
    if (rows.every((row) => row[s] < LEAST)) return "under";
    return sum >= MUCH ? "over" : "";
  });
}

// ½ Σ |a - b|
export function totalVariation(a, b) {
  let sum = 0;
  for (let s = 0; s < a.length; s++) sum += Math.abs(a[s] - b[s]);
  return sum / 2;
}
