// Greedy search with engine.wasm, step by step: node engine_wasm.mjs engine.wasm CASES.json, whose models lie beside it.
// Prints for each case the tokens, and the bits of log-probabilities and weights, as JSON.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [file, list] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(file));

async function engine(model) {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  let next = exports.__heap_base.value;
  const take = (bytes) => {
    const here = (next + 63) & ~63;
    next = here + bytes;
    const missing = next - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return here;
  };
  const at = take(model.length);
  new Uint8Array(memory.buffer).set(model, at);
  const tables = take(Number(exports.engine_table_bytes(at)));
  return { exports, take, at, tables, ints: (p, n) => new Int32Array(memory.buffer, p, n), floats: (p, n) => new Float32Array(memory.buffer, p, n) };
}

function greedy(e, source, limit, never, V, start, end) {
  const S = source.length, { exports, take, ints, floats } = e;
  const tokens = take(4 * S), lengths = take(4), owners = take(4), y = take(4);
  const beam = Number(exports.engine_beam_floats(e.at, S));
  const sources = take(4 * Number(exports.engine_source_floats(e.at, S)));
  const beams = [take(4 * beam), take(4 * beam)], logs = take(4 * V), weights = take(4 * S);
  const scratch = take(Number(exports.engine_scratch_bytes(e.at, 1, S, 0)));
  ints(tokens, S).set(source);
  ints(lengths, 1)[0] = S;
  ints(owners, 1)[0] = 0;
  ints(y, 1)[0] = start;
  floats(weights, S).fill(0);
  if (exports.engine_start(e.at, e.tables, 1, S, tokens, lengths, sources, beams[0], scratch)) throw new Error("start refused");
  const found = { tokens: [], logs: [], weights: [] };
  for (let t = 0; t < limit; t++) {
    const code = exports.engine_step(e.at, e.tables, 1, S, y, owners, lengths, sources, beams[t % 2], beams[(t + 1) % 2], logs, weights, scratch);
    if (code) throw new Error("step refused");
    const l = floats(logs, V);
    let best = -1;
    for (let v = 0; v < V; v++) if (!never.includes(v) && (best < 0 || l[v] > l[best])) best = v;
    found.tokens.push(best);
    found.logs.push(ints(logs, V)[best]);
    found.weights.push(...ints(weights, S));
    ints(y, 1)[0] = best;
    if (best === end) break;
  }
  return found;
}

const all = [];
for (const { name, sources, limit, never, V, start, end } of JSON.parse(readFileSync(list, "utf8"))) {
  const e = await engine(readFileSync(join(dirname(list), name)));
  all.push(sources.map((source) => greedy(e, source, limit, never, V, start, end)));
}
console.log(JSON.stringify(all));
