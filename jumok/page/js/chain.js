// A monotonic alignment for the tour: where the chain was, how far it jumps, how it came where it is, and what copies its token.

const NEVER = -1e9, JUMPS = 5;
const wide = (H) => 16 * Math.ceil(H / 16);

// Step t of a target: {reached [S]: p(s_(t-1) | y_<t), or null where weights before were set by the reader; jumps [JUMPS]: the bias
// of going on by 0, 1, … positions; arrived: {at, terms: [from, p(from), a(at | from)], the largest first}; kappa [S], or null
// without a copy gate}. inside: what `look` of engine.js gave.
export function chainOf(engine, ids, target, t, inside, edited) {
  const S = ids.length, H = engine.facts.hidden, { chain } = engine.facts;
  const jumps = Float32Array.from({ length: JUMPS }, (_, j) => product(inside.query, engine.own(chain.jumps[0], H, j * wide(H))) + engine.own(chain.jumps[1], JUMPS)[j]);
  const reached = edited ? null : t === 0 ? Float32Array.from(ids, (_, s) => Number(s === 0)) : engine.score(ids, target.slice(0, t)).weights.slice((t - 1) * S);
  return { reached, jumps, arrived: reached && arrived(reached, jumps, inside), kappa: chain.copy && kappa(engine, ids, inside) };
}

function arrived(reached, jumps, { scores, weights }) {
  const at = weights.indexOf(Math.max(...weights));
  const terms = Array.from(reached, (p, from) => [from, p, from <= at ? moved(scores, jumps, from)[at - from] : 0]);
  return { at, terms: terms.filter(([, p, a]) => p * a > 0).sort((x, y) => y[1] * y[2] - x[1] * x[2]) };
}

// a(s | from) for s = from, from + 1, …
function moved(scores, jumps, from) {
  const raw = Array.from(scores.subarray(from), (e, d) => Math.max(e, NEVER) + jumps[Math.min(d, JUMPS - 1)]), most = Math.max(...raw);
  const shares = raw.map((x) => Math.exp(x - most)), total = shares.reduce((a, b) => a + b);
  return shares.map((x) => x / total);
}

// κ_s = σ(w_m · h̄_s + w_h · h_t + b); 0 where the target vocabulary does not have the token
function kappa(engine, ids, { memory, query }) {
  const H = engine.facts.hidden, [m, h, b, copies] = engine.facts.chain.copy;
  const [byMemory, byQuery, bias] = [engine.own(m, H), engine.own(h, H), engine.own(b, 1)[0]];
  return Float32Array.from(ids, (id, s) => {
    if (engine.ownInts(copies, 1, id)[0] < 0) return 0;
    return 1 / (1 + Math.exp(-(product(memory.subarray(s * H, (s + 1) * H), byMemory) + product(query, byQuery) + bias)));
  });
}

const product = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
