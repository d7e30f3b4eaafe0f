/* Recurrent layers: cells, inputs by token, and the encoder, which reads a batch of sentences. */
#ifndef JUMOK_NETWORK_H
#define JUMOK_NETWORK_H
#include "memory.h"

/* One step of a cell: x, what its gates get from below with the bias; u, from its own state -> h, c, which may be before's. */
static void cell(const struct engine_model *m, int size, const float *x, const float *u, const float *before_h,
                 const float *before_c, float *h, float *c) {
    if (m->cell == ENGINE_LSTM) {
        for (int k = 0; k < size; k += WIDTH) {
            vector i = sigmoid(load(x + k) + load(u + k)), f = sigmoid(load(x + size + k) + load(u + size + k));
            vector g = hyperbolic(load(x + 2 * size + k) + load(u + 2 * size + k));
            vector o = sigmoid(load(x + 3 * size + k) + load(u + 3 * size + k));
            vector held = f * load(before_c + k) + i * g;
            store(c + k, held);
            store(h + k, o * hyperbolic(held));
        }
        return;
    }
    for (int k = 0; k < size; k += WIDTH) {
        vector r = sigmoid(load(x + k) + load(u + k)), z = sigmoid(load(x + size + k) + load(u + size + k));
        vector n = hyperbolic(load(x + 2 * size + k) + r * load(u + 2 * size + k));
        store(h + k, (load(before_h + k) - n) * z + n);
    }
}

/* W_ih E(v) + b for each token -> inputs [n], from the table or computed in `given` [n, G h]. */
static void inputs(const struct engine_model *m, const struct engine_matrix *embedding, const struct engine_layer *layer,
                   struct table table, const int32_t *tokens, int n, struct work *w) {
    for (int i = 0; i < n; i++) {
        float *kept = table.rows ? table.rows + (int64_t)tokens[i] * table.size : 0;
        uint8_t *ready = table.rows ? table.ready + tokens[i] : 0;
        if (kept && __atomic_load_n(ready, __ATOMIC_ACQUIRE) == READY) {
            w->inputs[i] = kept;
            continue;
        }
        float *fresh = w->given + (int64_t)i * table.size;
        row(m, embedding, tokens[i], w->gathered);
        multiply(m, &layer->input, w->gathered, 0, 1, fresh, 0, table.size, at(m, layer->bias), 0, w->q);
        w->inputs[i] = fresh;
        uint8_t empty = EMPTY; /* a row that another thread is about to write stays its own */
        if (kept && __atomic_compare_exchange_n(ready, &empty, BUSY, 0, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
            copy(kept, fresh, table.size);
            __atomic_store_n(ready, READY, __ATOMIC_RELEASE);
        }
    }
}

/* Sentences by falling length -> order; counts[t]: how many are longer than t. */
static void by_length(int B, int S, const int32_t *lengths, struct work *w) {
    int32_t *longer = w->counts;
    for (int t = 0; t <= S; t++) longer[t] = 0;
    for (int b = 0; b < B; b++) longer[lengths[b]]++;
    for (int t = S, before = 0; t >= 0; t--) { /* where those of length t begin */
        int own = longer[t];
        longer[t] = before;
        before += own;
    }
    for (int b = 0; b < B; b++) w->order[longer[lengths[b]]++] = b;
    for (int t = 0; t < S; t++) longer[t] = longer[t + 1]; /* the end of those of length t + 1 */
}

/* Where a direction stands at its step t in a source of so many positions. A reversed source ends with its end token all the same. */
INLINE int position(const struct engine_model *m, int direction, int length, int t) {
    int p = direction ? length - 1 - t : t;
    return m->reversed && p < length - 1 ? length - 2 - p : p;
}

/* One layer in one direction over all sentences: its part of memory `to`, and of the beams. */
static void read_layer(const struct engine_model *m, void *tables, int B, int S, const int32_t *tokens, const int32_t *lengths,
                       int l, int d, float *beams, struct work *w) {
    const struct engine_layer *layer = &m->encoder[l][d];
    const int H = wide_hidden(m), size = wide_half(m), G = gates(m);
    const int64_t beam = beam_floats(m, S);
    const float *from = w->memory[(l + 1) % 2];
    float *to = w->memory[l % 2];
    struct table table = table_of(m, tables, 0, d);
    int together = 0, first = 0; /* steps whose inputs stand in `given`, from `first` on */
    clear(w->h, (int64_t)B * size);
    clear(w->c, (int64_t)B * size);
    clear(w->recurrent, (int64_t)B * G * size);
    for (int t = 0; t < S && w->counts[t]; t++) {
        const int n = w->counts[t];
        if (l == 0) {
            for (int i = 0; i < n; i++) {
                int b = w->order[i];
                w->tokens[i] = tokens[(int64_t)b * S + position(m, d, lengths[b], t)];
            }
            inputs(m, &m->source_embedding, layer, table, w->tokens, n, w);
        } else {
            if (t >= first + together) {
                int64_t rows = 0;
                first = t;
                for (together = 0; t + together < S && w->counts[t + together]; together++) {
                    if (together && rows + w->counts[t + together] > ROWS) break;
                    for (int i = 0; i < w->counts[t + together]; i++, rows++) {
                        int b = w->order[i], s = position(m, d, lengths[b], t + together);
                        copy(w->gathered + rows * H, from + ((int64_t)b * S + s) * H, H);
                    }
                }
                multiply(m, &layer->input, w->gathered, H, rows, w->given, G * size, G * size, at(m, layer->bias), 0, w->q);
            }
            int64_t skipped = 0;
            for (int k = first; k < t; k++) skipped += w->counts[k];
            for (int i = 0; i < n; i++) w->inputs[i] = w->given + (skipped + i) * G * size;
        }
        if (t) multiply(m, &layer->recurrent, w->h, size, n, w->recurrent, G * size, G * size, 0, 0, w->q);
        for (int i = 0; i < n; i++) {
            float *h = w->h + (int64_t)i * size, *c = w->c + (int64_t)i * size;
            cell(m, size, w->inputs[i], w->recurrent + (int64_t)i * G * size, h, c, h, c);
            int b = w->order[i], s = position(m, d, lengths[b], t);
            copy(to + ((int64_t)b * S + s) * H + d * m->half, h, m->half);
        }
    }
    for (int i = 0; i < B; i++) {
        float *state = beams + w->order[i] * beam + beam_layer(m, l) + d * m->half;
        copy(state, w->h + (int64_t)i * size, m->half);
        if (m->cell == ENGINE_LSTM) copy(state + H, w->c + (int64_t)i * size, m->half);
    }
}

/* What the decoder's steps need of one sentence's memory [S, H]. */
static void prepare(const struct engine_model *m, int S, const int32_t *tokens, int length, const float *memory, float *source,
                    struct work *w) {
    const int H = wide_hidden(m), K = key_size(m), V = value_size(m);
    float *values = source + source_values(m, S);
    if (m->attention == ENGINE_NO_ATTENTION) return;
    if (m->attention == ENGINE_DOT) {
        copy(source, memory, (int64_t)length * H);
    } else {
        multiply(m, &m->score_memory, memory, H, length, source, K, K, 0, 0, w->q);
    }
    if (m->readout == ENGINE_TANH) {
        multiply(m, &m->readout_context, memory, H, length, values, V, V, 0, 0, w->q);
    } else if (monotonic(m)) {
        multiply(m, &m->output_context, memory, H, length, values, V, V, 0, 0, w->q);
    } else if (!keys_are_values(m)) {
        copy(values, memory, (int64_t)length * H);
    }
    if (m->copying) {
        float *raw = source + source_copies(m, S), *ids = raw + padded(S);
        for (int s = 0; s < length; s++) {
            raw[s] = inner(memory + (int64_t)s * H, at(m, m->copy_memory), H);
            __builtin_memcpy(ids + s, (const int32_t *)at(m, m->copies) + tokens[s], 4);
        }
    }
}

static void start(const struct engine_model *m, void *tables, int B, int S, const int32_t *tokens, const int32_t *lengths,
                  float *sources, float *beams, struct work *w) {
    const int64_t H = wide_hidden(m), source = source_floats(m, S);
    by_length(B, S, lengths, w);
    clear(beams, B * beam_floats(m, S));
    for (int l = 0; l < m->layers; l++) {
        if (l < 2) clear(w->memory[l], B * S * H);
        for (int d = 0; d < m->directions; d++) read_layer(m, tables, B, S, tokens, lengths, l, d, beams, w);
    }
    for (int b = 0; b < B; b++)
        prepare(m, S, tokens + (int64_t)b * S, lengths[b], w->memory[(m->layers - 1) % 2] + b * S * H, sources + b * source, w);
}
#endif
