// How a step of search chooses: log-probabilities of a row, and the highest values of an array.

// log Σ exp of values[from … from + V]
export function normaliser(values, from, V) {
  let highest = -Infinity;
  for (let v = from; v < from + V; v++) if (values[v] > highest) highest = values[v];
  let total = 0;
  for (let v = from; v < from + V; v++) total += Math.exp(values[v] - highest);
  return highest + Math.log(total);
}

// The indices, from `from`, of the `number` highest values, highest first; of equals the lower index first. Pads and starts are never chosen.
export function highest(values, from, V, number, never = 2) {
  const kept = [];
  for (let v = never; v < V; v++) {
    const value = values[from + v];
    if (kept.length === number && !(value > values[from + kept[number - 1]])) continue;
    let at = kept.length;
    while (at > 0 && value > values[from + kept[at - 1]]) at--;
    kept.splice(at, 0, v);
    if (kept.length > number) kept.pop();
  }
  return kept;
}
