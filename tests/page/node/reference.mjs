// The slow reference of the page's engine: plain JavaScript in float64 over the arrays of a model folder; LSTM, soft attention.
//
// Tests hold the compiled engine against it. It offers what engine.js does, and step takes given weights.

export function openReference(config, arrays) {
  const { hidden: H, layers, bidirectional, attention, readout } = config;
  const p = arrays, D = bidirectional ? 2 : 1, half = H / D;
  const [V] = p["target.embedding"].shape;
  const sourceTable = p["source.embedding"] ?? p["target.embedding"];
  const times = (m, x) => {
    const [rows, columns] = m.shape, y = new Float64Array(rows);
    for (let r = 0; r < rows; r++) {
      let total = 0;
      for (let c = 0; c < columns; c++) total += m.data[r * columns + c] * x[c];
      y[r] = total;
    }
    return y;
  };
  const row = (m, r) => m.data.subarray(r * m.shape[1], (r + 1) * m.shape[1]);
  const add = (...lists) => lists[0].map((_, i) => lists.reduce((sum, list) => sum + list[i], 0));
  const sigma = (x) => 1 / (1 + Math.exp(-x));
  const cell = (name, x, { h, c }) => {
    const gates = add(times(p[`${name}.w_ih`], x), times(p[`${name}.w_hh`], h), p[`${name}.bias`].data), n = h.length;
    const after = { h: new Float64Array(n), c: new Float64Array(n) };
    for (let i = 0; i < n; i++) {
      after.c[i] = sigma(gates[n + i]) * c[i] + sigma(gates[i]) * Math.tanh(gates[2 * n + i]);
      after.h[i] = sigma(gates[3 * n + i]) * Math.tanh(after.c[i]);
    }
    return after;
  };
  const zero = (n) => ({ h: new Float64Array(n), c: new Float64Array(n) });
  const join = (a, b) => Float64Array.from([...a, ...b]);
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

  function encode(ids) {
    const order = ids.map((_, i) => i);
    if (config.reverse_source) order.splice(0, order.length - 1, ...order.slice(0, -1).reverse());
    let x = order.map((i) => Array.from(row(sourceTable, ids[i]))), last = [];
    for (let l = 0; l < layers; l++) {
      const ways = (bidirectional ? ["forward", "backward"] : ["forward"]).map((way, d) => {
        let state = zero(half);
        const out = new Array(x.length);
        for (let k = 0; k < x.length; k++) {
          const s = d ? x.length - 1 - k : k;
          state = cell(`encoder.${l}.${way}`, x[s], state);
          out[s] = state.h;
        }
        return { out, state };
      });
      const both = (get) => ways.map(get).reduce((a, b) => join(a, b));
      x = x.map((_, s) => both((way) => way.out[s]));
      last.push({ h: both((way) => way.state.h), c: both((way) => way.state.c) });
    }
    const memory = new Array(ids.length);
    order.forEach((i, k) => (memory[i] = x[k]));
    return { memory, last };
  }

  const keysOf = { none: () => null, dot: (m) => m, general: (m) => m.map((x) => times(p["attention.W_a"], x)), concat: (m) => m.map((x) => times(p["attention.W_m"], x)) };
  const scoreOf = {
    dot: (h, keys) => keys.map((k) => dot(k, h)),
    general: (h, keys) => keys.map((k) => dot(k, h)),
    concat: (h, keys) => {
      const q = times(p["attention.W_q"], h);
      return keys.map((k) => dot(k.map((x, i) => Math.tanh(x + q[i])), p["attention.v"].data));
    },
  };

  function one(source, layersBefore, token, given) {
    let x = row(p["target.embedding"], token);
    const after = layersBefore.map((state, l) => {
      const reached = cell(`decoder.${l}`, x, state);
      x = reached.h;
      return reached;
    });
    const h = x;
    let weights = null, context = null, scores = null;
    if (attention !== "none") {
      scores = scoreOf[attention](h, source.keys);
      const top = Math.max(...scores), shares = scores.map((e) => Math.exp(e - top)), sum = shares.reduce((a, b) => a + b);
      weights = given ? Array.from(given) : shares.map((e) => e / sum);
      context = source.memory[0].map((_, i) => source.memory.reduce((total, m, s) => total + weights[s] * m[i], 0));
    }
    let features;
    if (readout === "tanh") {
      const parts = [times(p["readout.w_h"], h), ...(context ? [times(p["readout.w_c"], context)] : [])];
      features = add(...parts).map(Math.tanh);
    } else features = context ? join(context, h) : h;
    const logits = add(times(p["readout.output"] ?? p["target.embedding"], features), p["readout.bias"].data);
    const top = Math.max(...logits), total = top + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - top), 0));
    return { after, h, scores, weights, context, features, logps: logits.map((x) => x - total) };
  }

  return {
    V,
    attends: attention !== "none",
    read(ids) {
      const { memory, last } = encode(ids);
      return { source: { S: ids.length, memory, keys: keysOf[attention](memory) }, rows: [last] };
    },
    step(state, tokens, given = null) {
      const { S } = state.source;
      const out = tokens.map((token, k) => one(state.source, state.rows[k], token, given?.subarray(k * S, (k + 1) * S)));
      return {
        state: { source: state.source, rows: out.map((o) => o.after), inner: out },
        logps: Float32Array.from(out.flatMap((o) => Array.from(o.logps))),
        weights: out[0].weights && Float32Array.from(out.flatMap((o) => o.weights)),
      };
    },
    select: (state, parents) => ({ source: state.source, rows: parents.map((k) => state.rows[k]) }),
  };
}
