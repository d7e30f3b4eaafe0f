/* Where everything stands: what a beam and a sentence's source hold, the tables, and the scratch of a call. */
#ifndef JUMOK_MEMORY_H
#define JUMOK_MEMORY_H
#include "matrix.h"

INLINE int padded(int n) { return (n + 15) & ~15; }
INLINE int gates(const struct engine_model *m) { return m->cell == ENGINE_LSTM ? 4 : 3; }
INLINE int parts(const struct engine_model *m) { return m->cell == ENGINE_LSTM ? 2 : 1; }
INLINE int wide_hidden(const struct engine_model *m) { return padded(m->hidden); }
INLINE int wide_half(const struct engine_model *m) { return padded(m->half); }
/* What the output layer reads. */
INLINE int wide_features(const struct engine_model *m) { return m->output.columns; }
INLINE int monotonic(const struct engine_model *m) { return m->alignment == ENGINE_MONOTONIC; }

/* A beam: h, and c of an LSTM, of each layer; what was fed; the chain: [16] of which the first is 1 once a step was done, then
   [padded S] each: the prior p(s_t | y_<t), log Σ exp of the output layer at each position, the copy gates; and W_h h. */
SHARED int64_t beam_layer(const struct engine_model *m, int layer) { return (int64_t)layer * parts(m) * wide_hidden(m); }
SHARED int64_t beam_fed(const struct engine_model *m) { return beam_layer(m, m->layers); }
SHARED int64_t beam_chain(const struct engine_model *m) { return beam_fed(m) + (m->feeding ? m->feed.columns : 0); }
SHARED int64_t beam_prior(const struct engine_model *m) { return beam_chain(m) + 16; }
SHARED int64_t beam_totals(const struct engine_model *m, int S) { return beam_prior(m) + padded(S); }
SHARED int64_t beam_gates(const struct engine_model *m, int S) { return beam_totals(m, S) + padded(S); }
SHARED int64_t beam_query(const struct engine_model *m, int S) { return beam_gates(m, S) + (m->copying ? padded(S) : 0); }
SHARED int64_t beam_floats(const struct engine_model *m, int S) {
    if (!monotonic(m)) return beam_chain(m);
    return beam_query(m, S) + (m->readout == ENGINE_TANH ? m->readout_query.rows : 0);
}

/* A source: keys [S], values [S] (the keys serve as values of dot with the linear readout), w_m h̄_s and target ids [padded S]. */
SHARED int key_size(const struct engine_model *m) {
    return m->attention == ENGINE_NO_ATTENTION ? 0 : m->attention == ENGINE_CONCAT ? padded(m->inner) : wide_hidden(m);
}
SHARED int value_size(const struct engine_model *m) {
    if (m->attention == ENGINE_NO_ATTENTION) return 0;
    if (m->readout == ENGINE_TANH) return m->readout_context.rows;
    return monotonic(m) ? m->output_context.rows : wide_hidden(m);
}
SHARED int keys_are_values(const struct engine_model *m) {
    return m->attention == ENGINE_DOT && m->readout == ENGINE_LINEAR && !monotonic(m);
}
SHARED int64_t source_values(const struct engine_model *m, int S) { return keys_are_values(m) ? 0 : (int64_t)S * key_size(m); }
SHARED int64_t source_copies(const struct engine_model *m, int S) {
    return source_values(m, S) + (int64_t)S * value_size(m);
}
SHARED int64_t source_floats(const struct engine_model *m, int S) {
    int64_t floats = source_copies(m, S) + (m->copying ? 2 * padded(S) : 0);
    return floats > 16 ? floats : 16;
}

/* Tables: the rows of the source side by direction, those of the target side, then a byte for each row. */
enum { EMPTY = 0, BUSY = 1, READY = 2 };
struct table {
    float *rows;
    uint8_t *ready;
    int size;
};
SHARED int64_t side_rows(const struct engine_model *m) { return (int64_t)m->directions * m->source_size; }
static int64_t table_floats(const struct engine_model *m) {
    return gates(m) * (side_rows(m) * wide_half(m) + (int64_t)m->target_size * wide_hidden(m));
}
static struct table table_of(const struct engine_model *m, void *tables, int decoder, int direction) {
    if (!tables) return (struct table){0, 0, gates(m) * (decoder ? wide_hidden(m) : wide_half(m))};
    float *rows = tables;
    uint8_t *ready = (uint8_t *)tables + 4 * table_floats(m);
    const int64_t size = gates(m) * wide_half(m), before = decoder ? side_rows(m) : (int64_t)direction * m->source_size;
    return (struct table){rows + before * size, ready + before, decoder ? gates(m) * wide_hidden(m) : (int)size};
}

/* The scratch of a call, all of which `plan` places. */
struct work {
    struct rounded q;
    const float **inputs; /* [rows] what a layer's gates get from below */
    int32_t *order, *counts;
    float *memory[2];        /* [rows, S, H] */
    float *h, *c;            /* [rows, h] in the order of reading */
    float *gathered, *given; /* [at least ROWS, H], [at least ROWS, G H] */
    float *recurrent;        /* [rows, G H] */
    float *features;         /* [rows, features] */
    float *query;            /* [rows, A] of concat */
    float *logits;           /* [rows, V] */
    float *reached, *scores, *moves, *jumps; /* [padded S] or a little more each: the chain of one row */
    float *readouts;         /* [S, features] of one row */
    float *emitted;          /* [S, V] of one row */
    int32_t *tokens, *owners, *next, *also; /* [rows] */
    uint8_t *keep;           /* [rows] */
    float *looked;           /* [rows, S] */
    float **traces;          /* [rows] */
    float *trace;            /* score with a chain: [rows, T, TRACED(S)] */
    float *later, *pulls;    /* [padded S] */
};
#define TRACED(S) (3 * (int64_t)padded(S) + 16)

/* The next place in the scratch; NULL where only the sizes are wanted. */
static char *place(char *base, int64_t *used, int64_t bytes) {
    const int64_t here = *used;
    *used += (bytes + 63) & ~(int64_t)63;
    return base ? base + here : 0;
}
static int widest(const struct engine_model *m) {
    const struct engine_matrix *all[] = {&m->source_embedding, &m->target_embedding, &m->feed,   &m->score_memory,  &m->score_query,
                                         &m->readout_query,    &m->readout_context,  &m->output, &m->output_context};
    int columns = wide_hidden(m);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) columns = all[i]->columns > columns ? all[i]->columns : columns;
    return columns;
}
/* Places all that a call with so many rows needs from `base` on; returns the bytes. */
static int64_t plan(struct work *w, const struct engine_model *m, int64_t rows, int S, int T, char *base) {
    int64_t used = 0;
    const int64_t H = wide_hidden(m), G = gates(m), most_rows = rows > ROWS ? rows : ROWS, width = padded(S) + 32;
    const int columns = widest(m);
#define PLACE(field, count) w->field = (void *)place(base, &used, (count) * (int64_t)sizeof *w->field)
    PLACE(q.x, (int64_t)ROWS * columns);
    PLACE(q.scale, ROWS);
    PLACE(inputs, rows);
    PLACE(order, rows);
    PLACE(counts, S + 2);
    PLACE(memory[0], rows * S * H);
    PLACE(memory[1], m->layers > 1 ? rows * S * H : 0);
    PLACE(h, rows * H);
    PLACE(c, rows * H);
    PLACE(gathered, most_rows * columns);
    PLACE(given, most_rows * G * H);
    PLACE(recurrent, rows * G * H);
    PLACE(features, rows * wide_features(m));
    PLACE(query, rows * padded(m->inner));
    PLACE(logits, rows * m->target_size);
    PLACE(reached, width);
    PLACE(scores, width);
    PLACE(moves, width);
    PLACE(jumps, width);
    PLACE(later, width);
    PLACE(pulls, width);
    PLACE(readouts, monotonic(m) ? S * (int64_t)wide_features(m) : 0);
    PLACE(emitted, monotonic(m) ? S * (int64_t)m->target_size : 0);
    PLACE(tokens, rows);
    PLACE(owners, rows);
    PLACE(next, rows);
    PLACE(also, rows);
    PLACE(keep, rows);
    PLACE(looked, rows * S);
    PLACE(traces, rows);
    PLACE(trace, monotonic(m) ? rows * T * TRACED(S) : 0);
#undef PLACE
    return used;
}
#endif
