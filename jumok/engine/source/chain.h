/* The monotonic alignment: the position as a chain that only goes forward, summed over all alignments (jumok/alignments.py). */
#ifndef JUMOK_CHAIN_H
#define JUMOK_CHAIN_H
#include "decoder.h"

#define NEVER (-1e9f) /* a score whose probability is 0 */
#define RARE 1e-37f   /* of a probability before its logarithm */
#define MOST 1e30f
#define MOST_LOG 80.0f

/* log(e^a + e^b) */
SHARED float log_add(float a, float b) {
    float top = a > b ? a : b, less = a > b ? b : a;
    return top + logarithm(1.0f + exponential_of(less - top));
}
SHARED float log_sigmoid(float x) { return -log_add(0.0f, -x); }

/* log((1 - κ) p + κ [same]) for the copy gate's logit and log p */
static float with_copy(float gate, float log_p, int same) {
    float kept = log_sigmoid(-gate) + log_p;
    return same ? log_add(kept, log_sigmoid(gate)) : kept;
}
INLINE int copied_id(const float *ids, int s) {
    int32_t id;
    __builtin_memcpy(&id, ids + s, 4);
    return id;
}

/* Bayes' rule once y_t is known: prior [length], emission log p(y_t | s) [length] -> p(s_t | y_1…y_t) in `reached`; returns
   log p(y_t | y_<t). Where the prior is 0, the emission has no meaning. */
static float filtered(const float *prior, const float *emission, int length, float *reached) {
    float top = LOWEST;
    for (int s = 0; s < length; s++) {
        reached[s] = prior[s] > 0 ? emission[s] + logarithm(prior[s]) : LOWEST;
        top = reached[s] > top ? reached[s] : top;
    }
    float total = exponentials(reached, reached, length, top);
    for (int s = 0; s < length; s++) reached[s] /= total;
    return top + logarithm(total);
}

/* a(s | here) for s from `here` on -> moves[here .. length]. jumps: j(0), j(1), …, a bias for each distance. */
static void move(const float *scores, const float *jumps, int here, int length, float *moves) {
    for (int s = here; s < length; s++) moves[s] = (scores[s] > NEVER ? scores[s] : NEVER) + jumps[s - here];
    softmax(moves + here, length - here);
}

/* p(s_t | y_<t) from p(s_{t-1} | y_<t). */
static void moved(const float *reached, const float *scores, const float *jumps, int length, float *prior, float *moves) {
    clear(prior, length);
    for (int here = 0; here < length; here++) {
        if (!(reached[here] > 0)) continue;
        move(scores, jumps, here, length, moves);
        for (int s = here; s < length; s++) prior[s] += reached[here] * moves[s];
    }
}

/* j_t for h -> jumps [width], the last one repeated. */
static void jumps_of(const struct engine_model *m, const float *h, int width, float *jumps) {
    const int H = wide_hidden(m);
    const float *rows = at(m, m->jump_weights), *bias = at(m, m->jump_bias);
    for (int j = 0; j < ENGINE_JUMPS; j++) jumps[j] = inner(h, rows + j * H, H) + bias[j];
    for (int j = ENGINE_JUMPS; j < width; j++) jumps[j] = jumps[ENGINE_JUMPS - 1];
}

/* What the output layer reads at position s: the query's part [F] and the sentence's values. */
INLINE void read_out(const float *query, const float *value, int F, float *to) {
    for (int k = 0; k < F; k += WIDTH) store(to + k, hyperbolic(load(query + k) + load(value + k)));
}

/* log p(y | s) of a step, from what its beam kept of it -> emission [length]; LOWEST where the prior is 0. */
static void emissions(const struct engine_model *m, int S, const float *beam, const float *source, int length, int32_t y,
                      float *emission, struct work *w) {
    const int F = wide_features(m), size = value_size(m), linear = m->readout == ENGINE_LINEAR;
    const float *prior = beam + beam_prior(m), *totals = beam + beam_totals(m, S), *values = source + source_values(m, S);
    const float *gates = beam + beam_gates(m, S), *ids = source + source_copies(m, S) + padded(S), *bias = at(m, m->output_bias);
    float own = 0;
    if (linear) {
        own = single(m, &m->output, y, beam + beam_layer(m, m->layers - 1), bias, w->q);
    }
    for (int s = 0; s < length; s++) {
        emission[s] = LOWEST;
        if (!(prior[s] > 0)) continue;
        if (linear) {
            emission[s] = own + values[(int64_t)s * size + y];
        } else {
            read_out(beam + beam_query(m, S), values + (int64_t)s * size, F, w->readouts);
            emission[s] = single(m, &m->output, y, w->readouts, bias, w->q);
        }
        emission[s] -= totals[s];
        if (m->copying) emission[s] = with_copy(gates[s], emission[s], copied_id(ids, s) == y);
    }
}

/* The output layer at the positions whose prior is not 0 -> the mixture's log-probabilities `found` [V]; totals and gates. */
static void mix(const struct engine_model *m, int S, float *beam, const float *source, int length, const float *query_logits,
                float *found, struct work *w) {
    const int V = m->target_size, F = wide_features(m), size = value_size(m), linear = m->readout == ENGINE_LINEAR;
    const float *prior = beam + beam_prior(m), *values = source + source_values(m, S), *h = beam + beam_layer(m, m->layers - 1);
    const float *raw = source + source_copies(m, S), *ids = raw + padded(S);
    float *totals = beam + beam_totals(m, S), *gates = beam + beam_gates(m, S), by_query = 0;
    int live = 0;
    for (int s = 0; s < length; s++) {
        if (!(prior[s] > 0)) continue;
        if (linear) {
            for (int v = 0; v < V; v++) w->emitted[(int64_t)live * V + v] = query_logits[v] + values[(int64_t)s * size + v];
        } else {
            read_out(beam + beam_query(m, S), values + (int64_t)s * size, F, w->readouts + (int64_t)live * F);
        }
        live++;
    }
    if (!linear) output(m, &m->output, w->readouts, F, live, w->emitted, V, at(m, m->output_bias), 0, w->q);
    if (m->copying) by_query = inner(h, at(m, m->copy_query), wide_hidden(m)) + *(const float *)at(m, m->copy_bias);
    clear(found, V);
    live = 0;
    for (int s = 0; s < length; s++) {
        if (!(prior[s] > 0)) continue;
        float *here = w->emitted + (int64_t)live++ * V, top = highest_of(here, V);
        float total = exponentials(here, here, V, top), share = prior[s];
        totals[s] = top + logarithm(total);
        if (m->copying) {
            int id = copied_id(ids, s);
            gates[s] = id >= 0 ? raw[s] + by_query : NEVER;
            float kappa = id >= 0 ? exponential_of(log_sigmoid(gates[s])) : 0;
            share = prior[s] * (1.0f - kappa);
            if (id >= 0) found[id] += prior[s] * kappa;
        }
        share /= total;
        for (int v = 0; v < V; v++) found[v] += share * here[v];
    }
    float rest[LANES];
    for (int v = 0; v < V; v += LANES) {
        const float *from = sixteen(found + v, V - v, 1, rest);
        float *to = from == rest ? rest : found + v;
        EACH(q) store(to + q, logarithms(higher(load(from + q), all(RARE))));
        if (to == rest) copy(found + v, rest, V - v);
    }
}

/* One step of the chains, once `decode` is done: found [N, V], log p(v | y_<t); the prior is in `after`, and in weights [N, S]
   unless NULL. trace: for `trace_back`, of each row, or NULL; tokens: those of the step before. */
static void chain_step(const struct engine_model *m, const struct batch *b, int N, const int32_t *tokens, const float *before,
                       float *after, float *found, float *weights, float **traces, struct work *w) {
    const int S = b->S, F = wide_features(m), V = m->target_size;
    const int64_t beam = beam_floats(m, S), source = source_floats(m, S);
    const float *h = after + beam_layer(m, m->layers - 1);
    queries(m, N, h, beam, w);
    if (m->readout == ENGINE_TANH) {
        multiply(m, &m->readout_query, h, beam, N, after + beam_query(m, S), beam, F, 0, 0, w->q);
    } else {
        output(m, &m->output, h, beam, N, w->logits, V, at(m, m->output_bias), 0, w->q);
    }
    for (int i = 0; i < N; i++) {
        const int length = b->lengths[b->owners[i]];
        const float *from = before + i * beam, *own = b->sources + b->owners[i] * source;
        float *to = after + i * beam, *prior = to + beam_prior(m);
        clear(to + beam_chain(m), 16 + (int64_t)(m->copying ? 3 : 2) * padded(S));
        to[beam_chain(m)] = 1;
        if (from[beam_chain(m)] > 0) {
            emissions(m, S, from, own, length, tokens[i], w->moves, w);
            filtered(from + beam_prior(m), w->moves, length, w->reached);
        } else {
            clear(w->reached, length);
            w->reached[0] = 1;
        }
        score_positions(m, to + beam_layer(m, m->layers - 1), w->query + (int64_t)i * padded(m->inner), own, length, w->scores);
        jumps_of(m, to + beam_layer(m, m->layers - 1), length + ENGINE_JUMPS, w->jumps);
        moved(w->reached, w->scores, w->jumps, length, prior, w->moves);
        if (b->given) copy(prior, b->given + (int64_t)i * S, length);
        mix(m, S, to, own, length, w->logits + (int64_t)i * V, found + (int64_t)i * V, w);
        if (weights) {
            copy(weights + (int64_t)i * S, prior, length);
            clear(weights + (int64_t)i * S + length, S - length);
        }
        if (traces) {
            copy(traces[i], w->scores, length);
            copy(traces[i] + 3 * (int64_t)padded(S), w->jumps, ENGINE_JUMPS);
        }
    }
}

/* Once y_t is known: adds to the trace of a step [scores, emission, reached, jumps, log p]; returns log p(y_t | y_<t). */
static float trace_token(const struct engine_model *m, int S, const float *beam, const float *source, int length, int32_t y,
                         float *trace, struct work *w) {
    const int64_t width = padded(S);
    emissions(m, S, beam, source, length, y, trace + width, w);
    return trace[3 * width + ENGINE_JUMPS] = filtered(beam + beam_prior(m), trace + width, length, trace + 2 * width);
}

/* The backward recursion over T traced steps -> posteriors p(s_t | y_1…y_T) [T, S], 0 from `length` on. */
static void trace_back(int S, int T, int length, const float *traces, float *posteriors, struct work *w) {
    const int64_t width = padded(S);
    for (int s = 0; s < length; s++) w->later[s] = 1;
    for (int t = T - 1; t >= 0; t--) {
        const float *scores = traces + t * TRACED(S), *emission = scores + width, *reached = scores + 2 * width;
        const float total = scores[3 * width + ENGINE_JUMPS];
        for (int s = 0; s < length; s++) posteriors[(int64_t)t * S + s] = reached[s] * w->later[s];
        clear(posteriors + (int64_t)t * S + length, S - length);
        for (int s = 0; s < length; s++) {
            float x = emission[s] - total, pull = exponential_of(x < MOST_LOG ? x : MOST_LOG) * w->later[s];
            w->pulls[s] = pull < MOST ? pull : MOST;
        }
        for (int j = 0; j < length + ENGINE_JUMPS; j++)
            w->jumps[j] = scores[3 * width + (j < ENGINE_JUMPS ? j : ENGINE_JUMPS - 1)];
        for (int here = 0; here < length; here++) {
            move(scores, w->jumps, here, length, w->moves);
            float sum = 0;
            for (int s = here; s < length; s++) sum += w->moves[s] * w->pulls[s];
            w->later[here] = sum;
        }
    }
}
#endif
