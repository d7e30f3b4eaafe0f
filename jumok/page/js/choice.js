// How a step of search chooses: the highest values of an array.

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
