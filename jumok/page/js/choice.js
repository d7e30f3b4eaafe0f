// How a step of search chooses: the highest values of an array.

const FIRST = 2; // pads and starts are never chosen
const NONE = new Set();

// The indices, from `from`, of the `number` highest values, highest first; of equals the lower index first. never: a Set of indices
// that are not chosen.
export function highest(values, from, V, number, never = NONE) {
  const kept = [];
  for (let v = FIRST; v < V; v++) {
    if (never.has(v)) continue;
    const value = values[from + v];
    if (kept.length === number && !(value > values[from + kept[number - 1]])) continue;
    let at = kept.length;
    while (at > 0 && value > values[from + kept[at - 1]]) at--;
    kept.splice(at, 0, v);
    if (kept.length > number) kept.pop();
  }
  return kept;
}
