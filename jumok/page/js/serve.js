// The worker: keeps the models, answers requests, sends steps as they come, and drops what a newer request has made needless.
//
// A request is {lane, question, op, …}; its answers are {lane, question, kind, …}, where question is its number. Of each lane only the newest request is worked on.

import { END, openCodec, UNK } from "./codec.js";
import { openEngine } from "./engine.js";
import { agreement, occlusion } from "./trust.js";
import { graphemes } from "./labels.js";
import { asked, beam, forced, greedy, TOP, verdict } from "./search.js";
import { highest } from "./choice.js";
import { chainOf } from "./chain.js";

const TURN = 8; // milliseconds of work between two looks at what has come in

// send: takes an answer and the buffers to hand over; open: makes an engine from a model's bytes.
export function serve(send, open = openEngine) {
  const models = [], newest = new Map();

  async function boot({ wasm, list }) {
    for (const { facts, block } of list) models.push({ facts, codec: openCodec(facts.text), engine: await open(wasm, block, facts) });
  }

  async function run(request) {
    newest.set(request.lane, request.question);
    const alive = () => newest.get(request.lane) === request.question;
    const tell = (kind, values = {}) => send({ lane: request.lane, question: request.question, kind, ...values });
    try {
      const work = OPS[request.op](models[request.model ?? 0], request, tell, models);
      let since = performance.now();
      for (let turn = work.next(); !turn.done; turn = work.next()) {
        if (performance.now() - since < TURN) continue;
        await breath();
        if (!alive()) return;
        since = performance.now();
      }
    } catch (error) {
      if (alive()) tell("error", { message: String(error?.message ?? error) });
    }
  }

  return async (message) => {
    if (message.op === "boot") {
      try {
        await boot(message);
        send({ kind: "ready" });
      } catch (error) {
        send({ kind: "failed", message: String(error?.message ?? error) });
      }
    } else if (message.op === "drop") newest.delete(message.lane);
    else await run(message);
  };
}

const channel = typeof MessageChannel === "undefined" ? null : new MessageChannel();
const waiting = [];
if (channel) channel.port1.onmessage = () => waiting.shift()?.();

// Lets messages come in; faster than a timer.
function breath() {
  if (!channel) return new Promise((done) => setTimeout(done));
  return new Promise((done) => {
    waiting.push(done);
    channel.port2.postMessage(null);
  });
}

// What the model reads, or why it reads nothing: {ids, tokens, unknown, limit, problem: "" | "empty" | "long"}
function reading(model, request) {
  const { codec, facts } = model, text = request.text ?? "";
  if (codec.isBlank(text)) return { ids: [], tokens: [], unknown: [], problem: "empty" };
  const source = codec.readSource(text, request.features);
  const S = source.ids.length;
  const limit = Math.max(1, Math.ceil(facts.limit[0] * S + facts.limit[1]));
  return { ...source, limit, problem: S > facts.longest ? "long" : "" };
}

function steps(model, list) {
  return list.map(([id, logp]) => ({ id, token: model.codec.target.tokens[id], logp }));
}

function told(model, step) {
  return { ...step, token: model.codec.target.tokens[step.id], top: steps(model, step.top) };
}

function table(list, S) {
  if (!list.length || !list[0].weights) return null;
  const out = new Float32Array(list.length * S);
  list.forEach((step, t) => out.set(step.weights, t * S));
  return out;
}

// Greedy output as it comes, or the best of a beam; with alternatives and weights at each step.
function* write(model, request, tell) {
  const source = reading(model, request);
  tell("source", { tokens: source.tokens, unknown: source.unknown, problem: source.problem });
  if (source.problem) return tell("done", { text: "", logp: 0, finished: source.problem === "empty", weights: null });
  const ask = { ids: source.ids, limit: source.limit, prefix: request.prefix, edits: request.edits, never: request.never, beam: request.beam };
  let finished = true, work = greedy(model.engine, ask);
  if (request.beam > 1) {
    const { hypotheses } = yield* beam(model.engine, ask);
    const best = hypotheses[0] ?? { ids: [], finished: false };
    finished = best.finished;
    work = forced(model.engine, source.ids, best.ids, request.edits);
  }
  const list = [];
  let logp = 0;
  for (const step of work) {
    if (request.beam > 1) step.locked = step.t < (request.prefix?.length ?? 0);
    list.push(step);
    logp += step.logp;
    tell("step", told(model, step));
    yield;
  }
  const ids = list.map((step) => step.id), S = source.ids.length;
  if (request.beam <= 1) finished = ids[ids.length - 1] === END;
  const edited = Object.keys(request.edits ?? {}).length > 0;
  let weights = table(list, S), kind = "attention";
  if (model.engine.posterior && weights && !edited) {
    weights = model.engine.score(source.ids, ids).weights;
    kind = "posterior";
  }
  tell("done", { text: model.codec.text(ids), ids, logp, finished, weights, weightsKind: kind });
}

// The whole tree of a beam search, and what became of a reference in it.
function* tree(model, request, tell) {
  const source = reading(model, request);
  if (source.problem) return tell("tree", { problem: source.problem });
  const { prefix, edits, never, beam: size } = request;
  const ask = { ids: source.ids, limit: source.limit, prefix, edits, never, beam: size, nbest: size };
  const result = yield* beam(model.engine, ask);
  const token = (id) => model.codec.target.tokens[id];
  const answer = {
    levels: result.levels.map((level) => level.map((node) => ({ ...node, text: token(node.token) }))),
    hypotheses: result.hypotheses.map((h) => ({ ...h, tokens: h.ids.map(token), text: model.codec.text(h.ids) })),
  };
  if (request.reference && !model.codec.isBlank(request.reference)) {
    const gold = model.codec.readTarget(request.reference);
    let logp = 0;
    for (const step of forced(model.engine, source.ids, gold, request.edits)) {
      logp += step.logp;
      yield;
    }
    const [best] = answer.hypotheses, same = Boolean(best?.finished) && best.text === request.reference;
    answer.reference = { ...verdict(result, gold, logp, { same, barred: barredBy(ask, gold) }), tokens: gold.map(token) };
  }
  tell("tree", answer);
}

// Why a reference cannot be an output of this search; "" if it can.
function barredBy({ limit, prefix = [], never = [] }, gold) {
  if (gold.includes(UNK)) return "unknown";
  if (gold.length > Math.max(limit, prefix.length)) return "long";
  if (prefix.some((id, t) => id !== gold[t])) return "prefix";
  return gold.some((id) => never.includes(id)) ? "never" : "";
}

// How much each source token matters to the output that stands there.
function* occlude(model, request, tell) {
  const source = reading(model, request);
  if (source.problem || !request.target?.length) return tell("occluded", { problem: source.problem || "empty" });
  const { drop, total } = yield* occlusion(model.engine, source.ids, request.target, request.edits);
  const S = source.ids.length;
  const agree = request.weights ? agreement(request.weights, drop, S, source.ids) : null;
  tell("occluded", { drop, total, agree, tokens: source.tokens });
}

// The insides of one step for the tour, as the engine computes them.
function* look(model, request, tell) {
  const source = reading(model, request);
  if (source.problem || !request.target?.length) return tell("looked", { problem: source.problem || "empty" });
  const t = Math.min(request.step, request.target.length - 1);
  yield;
  const given = Array.from({ length: t + 1 }, (_, step) => asked(request.edits, step, source.ids.length, 1));
  const target = request.target.slice(0, t + 1), { engine } = model;
  const { logps, ...inside } = engine.look(source.ids, target, given);
  if (engine.posterior) Object.assign(inside, chainOf(engine, source.ids, target, t, inside, given.slice(0, t).some(Boolean)));
  if (model.facts.feeding && t > 0) inside.fed = engine.look(source.ids, target.slice(0, t), given.slice(0, t)).features;
  const best = highest(logps, 0, model.engine.V, TOP).map((id) => [id, logps[id]]);
  tell("looked", { ...inside, tokens: source.tokens, t, top: steps(model, best) });
}

// A gold target: the loss of each of its tokens under teacher forcing, and what the model would have written there.
function* gold(model, request, tell) {
  const source = reading(model, request);
  if (source.problem || model.codec.isBlank(request.gold ?? "")) return tell("gold", { problem: "empty" });
  const target = model.codec.readTarget(request.gold), list = [];
  for (const step of forced(model.engine, source.ids, target)) {
    list.push({ token: model.codec.target.tokens[step.id], loss: -step.logp, best: steps(model, step.top)[0] });
    yield;
  }
  const free = [];
  for (const step of greedy(model.engine, { ids: source.ids, limit: source.limit })) {
    free.push({ token: model.codec.target.tokens[step.id], loss: -step.logp });
    yield;
  }
  tell("gold", { steps: list, free });
}

// The output of every model for the first tokens of the source, growing: what a bottleneck lets through.
function* growing(model, request, tell, models) {
  const source = reading(model, request);
  if (source.problem) return tell("growing", { problem: source.problem });
  const words = request.text.split(/(?<= )/u), parts = words.length > 3 ? words : graphemes(request.text);
  const few = parts.length <= 12 ? 1 : Math.ceil(parts.length / 12);
  for (let n = few; n < parts.length + few; n += few) {
    const text = parts.slice(0, n).join("").trimEnd();
    const outputs = [];
    for (const each of models) {
      const read = reading(each, { ...request, text });
      if (read.problem) continue;
      const ids = [];
      for (const step of greedy(each.engine, { ids: read.ids, limit: read.limit })) {
        ids.push(step.id);
        yield;
      }
      outputs.push(each.codec.text(ids));
    }
    tell("grown", { text, outputs });
  }
  tell("growing", {});
}

// What a reader types in place of a token, as ids of the model's target vocabulary.
function* cut(model, request, tell) {
  yield;
  tell("cut", { ids: model.codec.readTokens(request.text) });
}

const OPS = { write, tree, occlude, look, gold, growing, cut };
