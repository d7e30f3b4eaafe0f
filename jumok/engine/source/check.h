/* Whether a block holds a model that the engine can take, and whether ids and lengths fit it. */
#ifndef JUMOK_CHECK_H
#define JUMOK_CHECK_H
#include "memory.h"

/* Whether an array of so many bytes stands behind the struct and inside the block. */
INLINE int inside(const struct engine_model *m, engine_offset o, int64_t bytes) {
    const int64_t blocks = (bytes + 63) / 64, first = (sizeof *m + 63) / 64;
    return o >= first && o + blocks <= m->blocks;
}
static int matrix_fits(const struct engine_model *m, const struct engine_matrix *M, int64_t rows, int64_t columns) {
    const int64_t size = rows * columns;
    if (M->rows != rows || M->columns != columns || columns > ENGINE_COLUMNS || rows % 16 || columns % 16 || size < 1) return 0;
    if (IN_FLOATS(M)) return inside(m, M->high, 4 * size);
    if (!inside(m, M->high, size) || !inside(m, M->scale, 4 * rows)) return 0;
    if (M->low && !inside(m, M->low, size)) return 0;
    if (M->order == ENGINE_GROUPS) return 1;
    return M->order == ENGINE_ROWS && M->low && inside(m, M->bound, 4 * rows);
}
INLINE int in_groups(const struct engine_matrix *M) { return M->order != ENGINE_ROWS; }
INLINE int between(int32_t low, int32_t x, int32_t high) { return low <= x && x <= high; }

/* 0, or which of the checks below fails. */
static int32_t wrong(const struct engine_model *m, int64_t bytes) {
    if (bytes < (int64_t)sizeof *m || m->magic != ENGINE_MAGIC) return 1;
    if (m->abi != ENGINE_ABI) return 2;
    if ((int64_t)m->blocks * 64 > bytes) return 3;
    if (!between(ENGINE_LSTM, m->cell, ENGINE_GRU) || !between(1, m->layers, ENGINE_LAYERS) || !between(1, m->directions, 2) ||
        !between(0, m->reversed, 1) || !between(ENGINE_NO_ATTENTION, m->attention, ENGINE_CONCAT) ||
        !between(ENGINE_SOFT, m->alignment, ENGINE_MONOTONIC) || !between(0, m->copying, 1) || !between(0, m->feeding, 1) ||
        !between(ENGINE_TANH, m->readout, ENGINE_LINEAR))
        return 4;
    const int attends = m->attention != ENGINE_NO_ATTENTION, is_tanh = m->readout == ENGINE_TANH;
    if ((monotonic(m) && (!attends || m->feeding)) || (m->copying && !monotonic(m)) || (m->feeding && !is_tanh)) return 5;
    if (!between(1, m->hidden, ENGINE_COLUMNS) || !between(1, m->half, m->hidden) || m->half * m->directions != m->hidden ||
        !between(1, m->embedding, ENGINE_COLUMNS) || !between(0, m->inner, ENGINE_COLUMNS) ||
        !between(1, m->features, 2 * ENGINE_COLUMNS) || !between(3, m->source_size, 1 << 24) ||
        !between(3, m->target_size, 1 << 24))
        return 6;
    const int64_t H = wide_hidden(m), h = wide_half(m), E = padded(m->embedding), A = padded(m->inner), V = padded(m->target_size);
    const int64_t G = gates(m), F = is_tanh ? padded(m->features) : attends && !monotonic(m) ? 2 * H : H;
    if (!matrix_fits(m, &m->source_embedding, padded(m->source_size), E) || !matrix_fits(m, &m->target_embedding, V, E)) return 7;
    for (int l = 0; l < m->layers; l++) {
        for (int d = 0; d < m->directions; d++) {
            const struct engine_layer *layer = &m->encoder[l][d];
            if (!matrix_fits(m, &layer->input, G * h, l ? H : E) || !matrix_fits(m, &layer->recurrent, G * h, h) ||
                !in_groups(&layer->input) || !in_groups(&layer->recurrent) || !inside(m, layer->bias, 4 * G * h))
                return 8;
        }
        const struct engine_layer *layer = &m->decoder[l];
        if (!matrix_fits(m, &layer->input, G * H, l ? H : E) || !matrix_fits(m, &layer->recurrent, G * H, H) ||
            !in_groups(&layer->input) || !in_groups(&layer->recurrent) || !inside(m, layer->bias, 4 * G * H))
            return 9;
    }
    if (widest(m) > ENGINE_COLUMNS) return 20; /* matrices that are not used count for the scratch */
    if (m->feeding && (!matrix_fits(m, &m->feed, G * H, F) || !in_groups(&m->feed))) return 10;
    if (m->attention == ENGINE_GENERAL && (!matrix_fits(m, &m->score_memory, H, H) || !in_groups(&m->score_memory))) return 11;
    if (m->attention == ENGINE_CONCAT &&
        (!matrix_fits(m, &m->score_memory, A, H) || !matrix_fits(m, &m->score_query, A, H) || !in_groups(&m->score_memory) ||
         !in_groups(&m->score_query) || !inside(m, m->score_vector, 4 * A)))
        return 12;
    if (is_tanh && (!matrix_fits(m, &m->readout_query, F, H) || !in_groups(&m->readout_query))) return 13;
    if (is_tanh && attends && (!matrix_fits(m, &m->readout_context, F, H) || !in_groups(&m->readout_context))) return 14;
    if (!matrix_fits(m, &m->output, V, F) || !inside(m, m->output_bias, 4 * V)) return 15;
    if (monotonic(m) && !is_tanh &&
        (!in_groups(&m->output) || !matrix_fits(m, &m->output_context, V, H) || !in_groups(&m->output_context)))
        return 16;
    if (monotonic(m) && (!inside(m, m->jump_weights, 4 * ENGINE_JUMPS * H) || !inside(m, m->jump_bias, 64))) return 17;
    if (m->copying) {
        if (!inside(m, m->copy_memory, 4 * H) || !inside(m, m->copy_query, 4 * H) || !inside(m, m->copy_bias, 64) ||
            !inside(m, m->copies, 4 * (int64_t)m->source_size))
            return 18;
        for (int i = 0; i < m->source_size; i++)
            if (!between(-1, ((const int32_t *)at(m, m->copies))[i], m->target_size - 1)) return 19;
    }
    return 0;
}

static int ids_fit(const int32_t *ids, int64_t count, int size) {
    for (int64_t i = 0; i < count; i++)
        if (!between(0, ids[i], size - 1)) return 0;
    return 1;
}
static int lengths_fit(const int32_t *lengths, int count, int limit) {
    for (int i = 0; i < count; i++)
        if (!between(1, lengths[i], limit)) return 0;
    return 1;
}
static int sentences_fit(int B, int S, const int32_t *tokens, const int32_t *lengths, int size) {
    return B >= 1 && S >= 1 && lengths_fit(lengths, B, S) && ids_fit(tokens, (int64_t)B * S, size);
}
#endif
