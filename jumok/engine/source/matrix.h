/* Matrices in int8 planes: products with many rows of activations, the screened output layer, single rows.

y = scale * (256 * high + low) x, with x rounded to int16 by its own scale: y = (256 * (high q) + low q) * (scale * x's scale). */
#ifndef JUMOK_MATRIX_H
#define JUMOK_MATRIX_H
#include "engine.h"
#include "floats.h"

#define ROWS 64    /* activations that are rounded together */
#define NEAR 5.0f  /* the screened layer computes both planes for every token that may be so near the best one in log-probability */
#define LEAST 1e-30f /* smaller activations are 0 */

/* What `multiply` writes to. */
struct rounded {
    int16_t *x;   /* [ROWS, columns] */
    float *scale; /* [ROWS] */
};

INLINE const void *at(const struct engine_model *m, engine_offset o) { return (const char *)m + (uint64_t)o * 64; }

/* The most of an activation: 128 (of a weight) * most * columns < 2^31, so that no sum of products overflows. */
INLINE int most(int columns) { return 16777215 / columns < 32767 ? 16777215 / columns : 32767; }

/* x -> q, int16; returns the scale: x is about q * scale. Zeros for a row that is 0 or overflows; NaN then says the latter. */
static float rounding(const float *x, int count, int16_t *q) {
    struct lanes top = lanes_of(0);
    for (int i = 0; i < count; i += LANES)
        EACH(q) top.of[q / WIDTH] = higher(magnitude(load(x + i + q)), top.of[q / WIDTH]);
    float m = highest(&top), limit = (float)most(count);
    if (!(m >= LEAST && m <= 3e38f)) {
        for (int i = 0; i < count; i++) q[i] = 0;
        return m < LEAST ? 0 : m - m; /* NaN */
    }
    float s = limit / m;
    for (int i = 0; i < count; i += LANES) {
        float shifted[LANES];
        uint32_t as[LANES];
        EACH(q) store(shifted + q, load(x + i + q) * s + ROUND);
        __builtin_memcpy(as, shifted, sizeof as);
        for (int l = 0; l < LANES; l++) q[i + l] = (int16_t)(as[l] - 0x4b400000u);
    }
    return m / limit;
}

static struct rounded rounded_rows(const struct engine_matrix *M, const float *x, int64_t stride, int rows, struct rounded q) {
    for (int r = 0; r < rows; r++) q.scale[r] = rounding(x + r * stride, M->columns, q.x + (int64_t)r * M->columns);
    return q;
}

/* high and low: sums -> v, a vector of them */
INLINE vector joined(const int32_t *high, const int32_t *low, const float *scale, float x_scale) {
    ints h, l;
    __builtin_memcpy(&h, high, sizeof h);
    vector v = __builtin_convertvector(h, vector) * 256.0f;
    if (low) {
        __builtin_memcpy(&l, low, sizeof l);
        v += __builtin_convertvector(l, vector);
    }
    return v * (load(scale) * x_scale);
}

/* One group of 16 rows with up to ROWS rounded rows -> y [rows][.., width], plus `bias` or what stands there. */
static void group(const struct engine_model *m, const struct engine_matrix *M, int g, struct rounded q, int rows, float *y,
                  int64_t stride, int width, const float *bias, int add) {
    const int8_t *high = (const int8_t *)at(m, M->high) + (int64_t)g * 16 * M->columns;
    const int8_t *low =
        M->low && M->order == ENGINE_GROUPS ? (const int8_t *)at(m, M->low) + (int64_t)g * 16 * M->columns : 0;
    const float *scale = (const float *)at(m, M->scale) + g * 16;
    const int left = width - g * 16;
    for (int r = 0; r < rows; r += TILE) {
        int n = rows - r < TILE ? rows - r : TILE;
        int32_t h[TILE * 16], l[TILE * 16];
        const int16_t *x = q.x + (int64_t)r * M->columns;
        products(high, x, M->columns, M->columns, h, n);
        if (low) products(low, x, M->columns, M->columns, l, n);
        for (int t = 0; t < n; t++) {
            float *to = y + (r + t) * stride + g * 16;
            float rest[LANES];
            const float *from = add ? sixteen(to, left, 0, rest) : 0;
            float *into = left >= LANES ? to : rest;
            EACH(k) {
                vector v = joined(h + 16 * t + k, low ? l + 16 * t + k : 0, scale + k, q.scale[r + t]);
                if (bias) v += load(bias + g * 16 + k);
                store(into + k, add ? load(from + k) + v : v);
            }
            if (into == rest) copy(to, rest, left);
        }
    }
}

/* y [rows, width] = M x + bias (or y + M x with `add`); x [rows, columns], both with strides. */
static void multiply(const struct engine_model *m, const struct engine_matrix *M, const float *x, int64_t x_stride, int64_t rows,
                     float *y, int64_t y_stride, int width, const float *bias, int add, struct rounded q) {
    for (int64_t r = 0; r < rows; r += ROWS) {
        int n = rows - r < ROWS ? (int)(rows - r) : ROWS;
        rounded_rows(M, x + r * x_stride, x_stride, n, q);
        for (int g = 0; g < M->rows / 16; g++) group(m, M, g, q, n, y + r * y_stride, y_stride, width, bias, add);
    }
}

/* Adds the low plane to y [V] of one rounded row where it can matter: for the best 16 tokens, for those within NEAR of the best,
   and for `also`. |low q| <= |low| |q| bounds what is not known yet. */
static void refine(const struct engine_model *m, const struct engine_matrix *M, const int16_t *q, float scale, float *y, int V,
                   int also) {
    const float *bounds = at(m, M->bound), *scales = at(m, M->scale);
    const int8_t *low = at(m, M->low);
    struct lanes squares = lanes_of(0), sure = lanes_of(LOWEST);
    float x[LANES], rest[LANES], rest_bounds[LANES], lanes[LANES];
    for (int i = 0; i < M->columns; i += LANES) {
        for (int l = 0; l < LANES; l++) x[l] = q[i + l];
        EACH(k) squares.of[k / WIDTH] += load(x + k) * load(x + k);
    }
    const float size = __builtin_sqrtf(sum(&squares)) * scale * 1.0001f;
    for (int v = 0; v < V; v += LANES) { /* of each of 16 classes of tokens, the best of what they have at least */
        const float *from = sixteen(y + v, V - v, LOWEST, rest), *bound = sixteen(bounds + v, V - v, 0, rest_bounds);
        EACH(k) sure.of[k / WIDTH] = higher(load(from + k) - load(bound + k) * size, sure.of[k / WIDTH]);
    }
    __builtin_memcpy(lanes, &sure, sizeof lanes);
    float best = lanes[0], sixteenth = lanes[0];
    for (int l = 1; l < LANES; l++) {
        best = best > lanes[l] ? best : lanes[l];
        sixteenth = sixteenth < lanes[l] ? sixteenth : lanes[l];
    }
    float wanted = best - NEAR < sixteenth ? best - NEAR : sixteenth;
    for (int v = 0; v < V; v += 4 * LANES) {
        int end = V - v < 4 * LANES ? V : v + 4 * LANES;
        if (end - v == 4 * LANES) {
            struct lanes top = lanes_of(LOWEST);
            for (int i = v; i < end; i += LANES)
                EACH(k) top.of[k / WIDTH] = higher(load(y + i + k) + load(bounds + i + k) * size, top.of[k / WIDTH]);
            if (highest(&top) < wanted && !(also >= v && also < end)) continue;
        }
        for (int i = v; i < end; i++)
            if (i == also || y[i] + bounds[i] * size >= wanted)
                y[i] += (float)product(low + (int64_t)i * M->columns, q, M->columns) * (scales[i] * scale);
    }
}

/* `multiply` for the output layer, [rows, V] without gaps; also: a token of each row that is computed with both planes, or NULL. */
static void output(const struct engine_model *m, const struct engine_matrix *M, const float *x, int64_t stride, int64_t rows,
                   float *y, int V, const float *bias, const int32_t *also, struct rounded q) {
    for (int64_t r = 0; r < rows; r += ROWS) {
        int n = rows - r < ROWS ? (int)(rows - r) : ROWS;
        rounded_rows(M, x + r * stride, stride, n, q);
        for (int g = 0; g < M->rows / 16; g++) group(m, M, g, q, n, y + r * V, V, V, bias, 0);
        if (M->low && M->order == ENGINE_ROWS)
            for (int t = 0; t < n; t++)
                refine(m, M, q.x + (int64_t)t * M->columns, q.scale[t], y + (r + t) * V, V, also ? also[r + t] : -1);
    }
}

/* Output r alone, for one rounded row: the same bits as both planes of `output` have. */
static float single(const struct engine_model *m, const struct engine_matrix *M, int r, const int16_t *q, float x_scale,
                    const float *bias) {
    const int64_t group = (int64_t)(r / 16) * 16 * M->columns;
    const float scale = ((const float *)at(m, M->scale))[r] * x_scale;
    const int8_t *low = at(m, M->low);
    int32_t sums[16];
    products((const int8_t *)at(m, M->high) + group, q, M->columns, M->columns, sums, 1);
    float v = (float)sums[r % 16] * 256.0f;
    if (!M->low) return v * scale + bias[r];
    if (M->order == ENGINE_ROWS)
        return v * scale + bias[r] + (float)product(low + (int64_t)r * M->columns, q, M->columns) * scale;
    products(low + group, q, M->columns, M->columns, sums, 1);
    return (v + (float)sums[r % 16]) * scale + bias[r];
}

/* Row r as float32 [columns]. */
static void row(const struct engine_model *m, const struct engine_matrix *M, int r, float *out) {
    const int8_t *high = (const int8_t *)at(m, M->high) + (int64_t)(r / 16) * 16 * M->columns + r % 16 * 2;
    const int8_t *low = at(m, M->low);
    const float scale = ((const float *)at(m, M->scale))[r];
    low += M->order == ENGINE_ROWS ? (int64_t)r * M->columns : (int64_t)(r / 16) * 16 * M->columns + r % 16 * 2;
    for (int c = 0; c < M->columns; c++) {
        int place = c / 2 * 32 + c % 2, w = 256 * high[place];
        if (M->low) w += low[M->order == ENGINE_ROWS ? c : place];
        out[c] = (float)w * scale;
    }
}
#endif
