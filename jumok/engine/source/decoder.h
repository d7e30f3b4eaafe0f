/* A step of the decoder for N rows: recurrent layers, attention and readout, up to what the output layer reads. */
#ifndef JUMOK_DECODER_H
#define JUMOK_DECODER_H
#include "network.h"

/* What all rows of a step share. */
struct batch {
    int32_t S;
    const int32_t *owners, *lengths; /* [N], [B] */
    const float *sources;
    void *tables;
    const float *given; /* [N, S] weights that take the place of attention's, or of the chain's prior; or NULL */
};

/* The layers one step further; h of the last one is in `after`. */
static void decode(const struct engine_model *m, const struct batch *b, int N, const int32_t *tokens, const float *before,
                   float *after, struct work *w) {
    const int H = wide_hidden(m), G = gates(m), S = b->S;
    const int64_t beam = beam_floats(m, S);
    inputs(m, &m->target_embedding, &m->decoder[0], table_of(m, b->tables, 1, 0), tokens, N, w);
    if (m->feeding) {
        for (int i = 0; i < N; i++) {
            float *given = w->given + (int64_t)i * G * H;
            if (w->inputs[i] != given) copy(given, w->inputs[i], G * H);
            w->inputs[i] = given;
        }
        multiply(m, &m->feed, before + beam_fed(m), beam, N, w->given, G * H, G * H, 0, 1, w->q);
    }
    for (int l = 0; l < m->layers; l++) {
        const int64_t own = beam_layer(m, l);
        if (l) {
            multiply(m, &m->decoder[l].input, after + beam_layer(m, l - 1), beam, N, w->given, G * H, G * H,
                     at(m, m->decoder[l].bias), 0, w->q);
            for (int i = 0; i < N; i++) w->inputs[i] = w->given + (int64_t)i * G * H;
        }
        multiply(m, &m->decoder[l].recurrent, before + own, beam, N, w->recurrent, G * H, G * H, 0, 0, w->q);
        for (int i = 0; i < N; i++) {
            const float *h = before + i * beam + own;
            float *to = after + i * beam + own;
            cell(m, H, w->inputs[i], w->recurrent + (int64_t)i * G * H, h, h + H, to, to + H);
        }
    }
}

/* score(h_t, h̄_s) for the positions of one sentence: h [H] and what concat makes of it, [A] -> scores [length]. */
static void score_positions(const struct engine_model *m, const float *h, const float *query, const float *keys, int length,
                            float *scores) {
    const int K = key_size(m);
    if (m->attention != ENGINE_CONCAT) {
        for (int s = 0; s < length; s++) scores[s] = inner(h, keys + (int64_t)s * K, K);
        return;
    }
    const float *v = at(m, m->score_vector);
    for (int s = 0; s < length; s++) {
        const float *key = keys + (int64_t)s * K;
        struct lanes sums = lanes_of(0);
        for (int k = 0; k < K; k += LANES)
            EACH(q) sums.of[q / WIDTH] += hyperbolic(load(query + k + q) + load(key + k + q)) * load(v + k + q);
        scores[s] = sum(&sums);
    }
}

/* to [size] += Σ_s weights[s] values[s] */
static void add_context(const float *weights, const float *values, int length, int size, float *to) {
    for (int k = 0; k < size; k += WIDTH) {
        vector sums = load(to + k);
        for (int s = 0; s < length; s++) sums += weights[s] * load(values + (int64_t)s * size + k);
        store(to + k, sums);
    }
}

/* What concat makes of each row's h. */
static void queries(const struct engine_model *m, int N, const float *h, int64_t stride, struct work *w) {
    if (m->attention == ENGINE_CONCAT)
        multiply(m, &m->score_query, h, stride, N, w->query, padded(m->inner), padded(m->inner), 0, 0, w->q);
}

/* Soft attention and the readout: features [N] of the output layer, and weights [N, S] unless NULL. */
static void attend(const struct engine_model *m, const struct batch *b, int N, float *after, float *weights, struct work *w) {
    const int H = wide_hidden(m), F = wide_features(m), S = b->S;
    const int64_t beam = beam_floats(m, S), source = source_floats(m, S);
    const float *h = after + beam_layer(m, m->layers - 1);
    queries(m, N, h, beam, w);
    if (m->readout == ENGINE_TANH) multiply(m, &m->readout_query, h, beam, N, w->features, F, F, 0, 0, w->q);
    for (int i = 0; i < N; i++) {
        const float *own = h + i * beam;
        float *features = w->features + (int64_t)i * F;
        if (m->attention != ENGINE_NO_ATTENTION) {
            const int length = b->lengths[b->owners[i]];
            const float *keys = b->sources + b->owners[i] * source, *values = keys + source_values(m, S);
            if (b->given) {
                copy(w->scores, b->given + (int64_t)i * S, length);
            } else {
                score_positions(m, own, w->query + (int64_t)i * padded(m->inner), keys, length, w->scores);
                softmax(w->scores, length);
            }
            if (m->readout == ENGINE_LINEAR) clear(features, H);
            add_context(w->scores, values, length, value_size(m), features);
            if (weights) {
                copy(weights + (int64_t)i * S, w->scores, length);
                clear(weights + (int64_t)i * S + length, S - length);
            }
        }
        if (m->readout == ENGINE_LINEAR) {
            copy(features + (m->attention == ENGINE_NO_ATTENTION ? 0 : H), own, H);
        } else {
            for (int k = 0; k < F; k += WIDTH) store(features + k, hyperbolic(load(features + k)));
        }
        if (m->feeding) copy(after + i * beam + beam_fed(m), features, m->feed.columns);
    }
}

/* logits [V] -> what to subtract for log-probabilities */
INLINE float normaliser(const float *logits, int V) {
    float top = highest_of(logits, V);
    return top + logarithm(exponential_sum(logits, V, top));
}
#endif
