/* Float32 weights rounded to int8 planes, or put in groups as they are. */
#ifndef JUMOK_PACK_H
#define JUMOK_PACK_H
#include "matrix.h"

#define MOST_WEIGHT 32512.0f /* 127 * 256: high is then from -127 to 127, and low from -128 to 127 */

/* The largest |x|; 0 if it is so small that its scale would not be a normal number. */
static float largest(const float *x, int count) {
    struct lanes top = lanes_of(0);
    float rest[LANES];
    for (int i = 0; i < count; i += LANES) {
        const float *from = sixteen(x + i, count - i, 0, rest);
        EACH(q) top.of[q / WIDTH] = higher(magnitude(load(from + q)), top.of[q / WIDTH]);
    }
    const float most = highest(&top);
    return most >= LEAST ? most : 0;
}

/* Rows w [rows, columns] -> rows of M from `first` on; its pads must be 0 already. */
static void pack(struct engine_model *m, const struct engine_matrix *M, int first, int rows, int columns, const float *w,
                 int64_t stride) {
    char *base = (char *)m;
    if (IN_FLOATS(M)) {
        for (int i = first; i < first + rows; i++) {
            float *to = (float *)(base + (uint64_t)M->high * 64) + (int64_t)(i / 16) * 16 * M->columns + i % 16;
            const float *x = w + (i - first) * stride;
            for (int c = 0; c < columns; c++) to[(int64_t)c * 16] = x[c];
        }
        return;
    }
    int8_t *high = (int8_t *)(base + (uint64_t)M->high * 64), *low = (int8_t *)(base + (uint64_t)M->low * 64);
    float *scale = (float *)(base + (uint64_t)M->scale * 64), *bound = (float *)(base + (uint64_t)M->bound * 64);
    for (int i = 0; i < rows; i++) {
        const float *x = w + i * stride, top = largest(x, columns);
        const int r = first + i, by_rows = M->order == ENGINE_ROWS;
        const int64_t place = (int64_t)(r / 16) * 16 * M->columns + r % 16 * 2;
        const float limit = M->low ? MOST_WEIGHT : 127.0f, by = top > 0 ? limit / top : 0;
        int64_t squares = 0;
        scale[r] = M->low ? top / limit : top / limit / 256.0f;
        for (int c = 0; c < columns; c += LANES) {
            const int n = columns - c < LANES ? columns - c : LANES;
            float rest[LANES], shifted[LANES];
            const float *from = sixteen(x + c, n, 0, rest);
            int32_t of[LANES];
            EACH(q) store(shifted + q, load(from + q) * by + ROUND);
            __builtin_memcpy(of, shifted, sizeof of);
            for (int l = 0; l < n; l++) {
                const int k = (of[l] & 0x7fffff) - 0x400000; /* what ROUND left in the low bits */
                const int h = M->low ? (k + 128) >> 8 : k, rest = k - 256 * h;
                const int64_t at_column = place + (c + l) / 2 * 32 + (c + l) % 2;
                high[at_column] = (int8_t)h;
                if (!M->low) continue;
                low[by_rows ? (int64_t)r * M->columns + c + l : at_column] = (int8_t)rest;
                squares += rest * rest;
            }
        }
        if (by_rows) bound[r] = __builtin_sqrtf((float)squares) * scale[r] * 1.0001f;
    }
}
#endif
