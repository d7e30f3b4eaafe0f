// The compiled engine (jumok/engine/source/engine.h) as wasm: one model block in its memory, and calls with states as plain arrays.

const ALIGN = 64, PAGE = 65536;
const MOST_TABLES = 96 << 20; // larger tables of first-layer rows are left out; the rows are then computed each time

const up = (n) => Math.ceil(n / ALIGN) * ALIGN;

// wasm: bytes of the module; block: bytes of the model. Throws an Error with a message for people.
export async function openEngine(wasm, block, facts) {
  const imports = { env: {} };
  const module = await WebAssembly.compile(wasm);
  let memory = null;
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === "memory") imports[from] = { ...imports[from], [name]: (memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 })) };
  }
  const { exports } = await WebAssembly.instantiate(module, imports);
  return new Engine(exports, memory ?? exports.memory, block, facts);
}

// Call it as search.js says. A state is {S, source, rows, beams}; it is never written to again.
class Engine {
  constructor(exports, memory, block, facts) {
    this.e = exports;
    this.memory = memory;
    this.facts = facts;
    this.features = 2 * 16 * Math.ceil(Math.max(facts.hidden, facts.inner) / 16); // at least as many as a readout reads
    this.V = facts.V;
    this.attends = facts.attends;
    this.posterior = facts.posterior;
    this.model = up(exports.__heap_base?.value ?? memory.buffer.byteLength);
    this.room(this.model + block.length);
    const [magic, , blocks] = new Uint32Array(block.buffer, block.byteOffset, 3);
    if (magic !== 0x4b4d554a || ALIGN * blocks !== block.length) throw new Error("the model in this page is damaged");
    new Uint8Array(memory.buffer).set(block, this.model);
    const tables = Number(exports.engine_table_bytes(this.model));
    const at = up(this.model + block.length);
    this.tables = tables <= MOST_TABLES ? at : 0;
    this.free = at + (this.tables ? up(tables) : 0);
    this.room(this.free);
    this.resident = null; // the source whose numbers stand in memory
  }

  // Makes the memory reach so far.
  room(end) {
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
  }

  // Places for arrays of these sizes in bytes, one after the other from `free`, by name.
  layout(sizes) {
    const at = {};
    let end = this.free;
    for (const [name, bytes] of Object.entries(sizes)) {
      at[name] = end;
      end += up(bytes);
    }
    this.room(end);
    return at;
  }

  sizes(S, N, T = 0) {
    const { e, model } = this;
    return {
      source: 4 * Number(e.engine_source_floats(model, S)),
      beam: 4 * Number(e.engine_beam_floats(model, S)),
      scratch: Number(e.engine_scratch_bytes(model, N, S, T)),
    };
  }

  ints(at, values) {
    new Int32Array(this.memory.buffer, at, values.length).set(values);
  }

  floats(at, count) {
    return new Float32Array(this.memory.buffer, at, count);
  }

  // Numbers of the model itself: `count` of them, from `first` on, of the array that begins at byte `at` of its block.
  own(at, count, first = 0) {
    return this.floats(this.model + at + 4 * first, count);
  }

  ownInts(at, count, first = 0) {
    return new Int32Array(this.memory.buffer, this.model + at + 4 * first, count);
  }

  // Reads a source: ids, END last.
  read(ids) {
    const S = ids.length, size = this.sizes(S, 1);
    const at = this.layout({ source: size.source, beams: size.beam, tokens: 4 * S, lengths: 4, scratch: size.scratch });
    this.ints(at.tokens, ids);
    this.ints(at.lengths, [S]);
    this.resident = null;
    this.ok(this.e.engine_start(this.model, this.tables, 1, S, at.tokens, at.lengths, at.source, at.beams, at.scratch));
    const source = { S, floats: this.floats(at.source, size.source / 4).slice() };
    this.resident = source;
    return { source, rows: 1, beams: this.floats(at.beams, size.beam / 4).slice() };
  }

  // One token further for each row. given: weights [rows, S] that take the place of attention's, or null.
  step(state, tokens, given = null) {
    const { source } = state, S = source.S, N = tokens.length, size = this.sizes(S, N);
    const at = this.layout({
      source: size.source, before: N * size.beam, after: N * size.beam, tokens: 4 * N, owners: 4 * N, lengths: 4,
      logps: 4 * N * this.V, weights: 4 * N * S, scratch: size.scratch,
    });
    if (this.resident !== source) this.floats(at.source, size.source / 4).set(source.floats);
    this.resident = source;
    this.floats(at.before, (N * size.beam) / 4).set(state.beams);
    this.ints(at.tokens, tokens);
    this.ints(at.owners, new Array(N).fill(0));
    this.ints(at.lengths, [S]);
    const call = given ? this.e.engine_step_given : this.e.engine_step;
    if (given) this.floats(at.weights, N * S).set(given);
    this.ok(call(this.model, this.tables, N, S, at.tokens, at.owners, at.lengths, at.source, at.before, at.after,
      at.logps, this.attends || given ? at.weights : 0, at.scratch));
    return {
      state: { source, rows: N, beams: this.floats(at.after, (N * size.beam) / 4).slice() },
      logps: this.floats(at.logps, N * this.V).slice(),
      weights: this.attends ? this.floats(at.weights, N * S).slice() : null,
    };
  }

  // The state with these rows of it.
  select(state, parents) {
    const size = state.beams.length / state.rows, beams = new Float32Array(size * parents.length);
    parents.forEach((parent, row) => beams.set(state.beams.subarray(parent * size, (parent + 1) * size), row * size));
    return { source: state.source, rows: parents.length, beams };
  }

  // Log-probabilities [T] and weights [T, S] of a given target, END last. With a monotonic alignment the weights are posteriors;
  // those that the recursion has rounded above 1 are 1, as in Python.
  score(ids, target) {
    const S = ids.length, T = target.length, size = this.sizes(S, 1, T);
    const work = 4 * Number(this.e.engine_greedy_floats(this.model, 1, S));
    const at = this.layout({
      tokens: 4 * S, lengths: 4, targets: 4 * T, targetLengths: 4, logps: 4 * T, weights: 4 * T * S, work, scratch: size.scratch,
    });
    this.resident = null;
    this.ints(at.tokens, ids);
    this.ints(at.lengths, [S]);
    this.ints(at.targets, target);
    this.ints(at.targetLengths, [T]);
    this.ok(this.e.engine_score(this.model, this.tables, 1, S, at.tokens, at.lengths, T, at.targets, at.targetLengths,
      at.logps, this.attends ? at.weights : 0, at.work, at.scratch));
    return {
      logps: this.floats(at.logps, T).slice(),
      weights: this.attends ? this.floats(at.weights, T * S).map((share) => (this.posterior ? Math.min(share, 1) : share)) : null,
    };
  }

  // The insides of the last step of a target that is written so: {memory [S, H], first h_0, query h_t, scores, weights, context,
  // features, top, given}; scores, weights and context are empty without attention, context and features with a chain.
  look(ids, target, given) {
    const { facts } = this, H = facts.hidden, wide = 16 * Math.ceil(H / 16), S = ids.length;
    let state = this.read(ids), token = 1, found = null;
    const layer = (facts.layers - 1) * (facts.cell === "lstm" ? 2 : 1) * wide, first = state.beams.slice(layer, layer + H);
    target.forEach((id, t) => {
      found = this.step(state, [token], given[t]);
      [state, token] = [found.state, id];
    });
    const asked = given[target.length - 1], size = this.sizes(S, 1), F = this.features;
    const at = this.layout({
      tokens: 4 * S, beam: size.beam, weights: 4 * S, memory: 4 * S * wide, query: 4 * wide, scores: 4 * S + 64, features: 4 * F,
      work: 4 * Number(this.e.engine_greedy_floats(this.model, 1, S)), scratch: size.scratch,
    });
    this.resident = null;
    this.ints(at.tokens, ids);
    this.floats(at.beam, state.beams.length).set(state.beams);
    if (asked) this.floats(at.weights, S).set(asked);
    this.ok(this.e.engine_look(this.model, this.tables, S, at.tokens, at.beam, asked ? at.weights : 0, at.memory, at.query,
      at.scores, at.features, at.work, at.scratch));
    const rows = this.floats(at.memory, S * wide), memory = new Float32Array(S * H), context = new Float32Array(H);
    for (let s = 0; s < S; s++) memory.set(rows.subarray(s * wide, s * wide + H), s * H);
    const chain = facts.posterior, attends = this.attends;
    if (attends && !chain) for (let s = 0; s < S; s++) for (let k = 0; k < H; k++) context[k] += found.weights[s] * memory[s * H + k];
    const none = new Float32Array(0);
    return {
      memory, first, query: this.floats(at.query, H).slice(), given: Boolean(asked), logps: found.logps,
      scores: attends ? this.floats(at.scores, S).slice() : none, weights: attends ? found.weights : none,
      context: attends && !chain ? context : none,
      features: facts.readout === "tanh" && !chain ? this.floats(at.features, facts.inner).slice() : none,
    };
  }

  ok(code) {
    if (code !== 0) throw new Error(`the engine refused its input (${code})`);
  }
}
