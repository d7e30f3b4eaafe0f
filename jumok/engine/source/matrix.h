/* Matrices in int8 planes: products with many rows of activations, the screened output layer, single rows. And in float32.

y = scale * (256 * high + low) x, with x rounded to int16 by its own scale: y = (256 * (high q) + low q) * (scale * x's scale). */
#ifndef JUMOK_MATRIX_H
#define JUMOK_MATRIX_H
#include "engine.h"
#include "floats.h"

#define ROWS 64    /* activations that are rounded together */
#define NEAR 5.0f  /* the screened layer computes both planes for every token that may be so near the best one in log-probability */
#define LEAST 1e-30f /* smaller activations are 0 */

#ifdef __wasm__ /* a page, where bytes count, has neither */
#define IN_FLOATS(M) 0
#define IN_ROWS(M) 0
#else
#define IN_FLOATS(M) ((M)->order == ENGINE_FLOATS)
#define IN_ROWS(M) ((M)->order == ENGINE_ROWS)
#endif

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

/* Up to GROUPS groups of 16 rows with up to ROWS rounded rows -> y [rows][.., width], plus `bias` or what stands there. */
static void groups_of(const struct engine_model *m, const struct engine_matrix *M, int first, int groups, struct rounded q, int rows,
                      float *y, int64_t stride, int width, const float *bias, int add) {
    const int64_t begin = (int64_t)first * 16 * M->columns;
    const int8_t *high = (const int8_t *)at(m, M->high) + begin;
    const int8_t *low = M->low && !IN_ROWS(M) ? (const int8_t *)at(m, M->low) + begin : 0;
    for (int r = 0; r < rows; r += TILE) {
        int n = rows - r < TILE ? rows - r : TILE;
        int32_t h[GROUPS * TILE * 16], l[GROUPS * TILE * 16];
        const int16_t *x = q.x + (int64_t)r * M->columns;
        products(high, x, M->columns, M->columns, h, groups, n);
        if (low) products(low, x, M->columns, M->columns, l, groups, n);
        for (int g = 0; g < groups; g++) {
            const int column = (first + g) * 16, left = width - column;
            const float *scale = (const float *)at(m, M->scale) + column;
            for (int t = 0; t < n; t++) {
                float *to = y + (r + t) * stride + column;
                const int sums = 16 * (g * n + t);
                float rest[LANES];
                const float *from = add ? sixteen(to, left, 0, rest) : 0;
                float *into = left >= LANES ? to : rest;
                EACH(k) {
                    vector v = joined(h + sums + k, low ? l + sums + k : 0, scale + k, q.scale[r + t]);
                    if (bias) v += load(bias + column + k);
                    store(into + k, add ? load(from + k) + v : v);
                }
                if (into == rest) copy(to, rest, left);
            }
        }
    }
}
static void all_groups(const struct engine_model *m, const struct engine_matrix *M, struct rounded q, int rows, float *y,
                       int64_t stride, int width, const float *bias, int add) {
    const int count = M->rows / 16;
    for (int g = 0; g < count; g += GROUPS)
        groups_of(m, M, g, count - g < GROUPS ? count - g : GROUPS, q, rows, y, stride, width, bias, add);
}

#if defined(__AVX512BW__) && !defined(ENGINE_PLAIN)
#define FLOAT_TILE 4 /* rows of activations that share a pass over float32 weights */
#else
#define FLOAT_TILE 1
#endif

/* 16 rows of float32 weights, [columns][16], with T rows of activations: sums of every fourth column, then theirs. */
INLINE void float_tile(const float *weights, const float *x, int64_t stride, int columns, struct lanes *out, const int T) {
    struct lanes s[FLOAT_TILE][4];
    UNROLL for (int t = 0; t < T; t++)
        UNROLL for (int k = 0; k < 4; k++) s[t][k] = lanes_of(0);
    for (int c = 0; c < columns; c += 4)
        UNROLL for (int k = 0; k < 4; k++) {
            const float *w = weights + (int64_t)(c + k) * LANES;
            if (T == 1) __builtin_prefetch(w + AHEAD / 4);
            UNROLL for (int t = 0; t < T; t++)
                EACH(q) s[t][k].of[q / WIDTH] += load(w + q) * x[t * stride + c + k];
        }
    UNROLL for (int t = 0; t < T; t++)
        EACH(q) out[t].of[q / WIDTH] = (s[t][0].of[q / WIDTH] + s[t][1].of[q / WIDTH]) + (s[t][2].of[q / WIDTH] + s[t][3].of[q / WIDTH]);
}

/* As `multiply`, for a matrix in float32. */
static void multiply_floats(const struct engine_model *m, const struct engine_matrix *M, const float *x, int64_t x_stride,
                            int64_t rows, float *y, int64_t y_stride, int width, const float *bias, int add) {
    for (int column = 0; column < M->rows; column += LANES) {
        const float *weights = (const float *)at(m, M->high) + (int64_t)column * M->columns;
        const int left = width - column;
        for (int64_t r = 0; r < rows; r += FLOAT_TILE) {
            struct lanes sums[FLOAT_TILE];
            const int n = rows - r < FLOAT_TILE ? (int)(rows - r) : FLOAT_TILE;
            if (n == FLOAT_TILE) {
                float_tile(weights, x + r * x_stride, x_stride, M->columns, sums, FLOAT_TILE);
            } else {
                for (int t = 0; t < n; t++) float_tile(weights, x + (r + t) * x_stride, 0, M->columns, sums + t, 1);
            }
            for (int t = 0; t < n; t++) {
                float *to = y + (r + t) * y_stride + column, rest[LANES];
                const float *from = add ? sixteen(to, left, 0, rest) : 0;
                float *into = left >= LANES ? to : rest;
                EACH(k) {
                    vector v = sums[t].of[k / WIDTH];
                    if (bias) v += load(bias + column + k);
                    store(into + k, add ? load(from + k) + v : v);
                }
                if (into == rest) copy(to, rest, left);
            }
        }
    }
}

/* y [rows, width] = M x + bias (or y + M x with `add`); x [rows, columns], both with strides. */
static void multiply(const struct engine_model *m, const struct engine_matrix *M, const float *x, int64_t x_stride, int64_t rows,
                     float *y, int64_t y_stride, int width, const float *bias, int add, struct rounded q) {
    if (IN_FLOATS(M)) {
        multiply_floats(m, M, x, x_stride, rows, y, y_stride, width, bias, add);
        return;
    }
    for (int64_t r = 0; r < rows; r += ROWS) {
        int n = rows - r < ROWS ? (int)(rows - r) : ROWS;
        rounded_rows(M, x + r * x_stride, x_stride, n, q);
        all_groups(m, M, q, n, y + r * y_stride, y_stride, width, bias, add);
    }
}

#ifndef __wasm__
#define CLASSES 64 /* of tokens, by their number's remainder */
#define BEST 16
#define FOUND 256

/* A lower bound of the 16th highest value, and of the highest, from what each class has at its best. */
static float sixteenth_of(float classes[CLASSES], float *best) {
    float found = 0;
    for (int k = 0; k < BEST; k++) {
        found = highest_of(classes, CLASSES);
        if (k == 0) *best = found;
        int c = 0;
        while (c < CLASSES - 1 && classes[c] != found) c++;
        classes[c] = LOWEST;
    }
    return found;
}

/* Adds the low plane to y [V] of one rounded row where it can matter: for the best 16 tokens, for those within NEAR of the best,
   and for `also`. |low q| <= |low| |q| bounds what is not known yet. */
static void refine(const struct engine_model *m, const struct engine_matrix *M, const int16_t *q, float scale, float *y, int V,
                   int also) {
    const float *bounds = at(m, M->bound), *scales = at(m, M->scale);
    const int8_t *low = at(m, M->low);
    struct lanes squares = lanes_of(0);
    vector top[CLASSES / WIDTH];
    float classes[CLASSES], best;
    for (int i = 0; i < M->columns; i += LANES) {
        float x[LANES];
        for (int l = 0; l < LANES; l++) x[l] = q[i + l];
        EACH(k) squares.of[k / WIDTH] += load(x + k) * load(x + k);
    }
    const float size = __builtin_sqrtf(sum(&squares)) * scale * 1.0001f;
    for (int k = 0; k < CLASSES / WIDTH; k++) top[k] = all(LOWEST);
    int v = 0, found = 0, these[FOUND];
    for (; v + CLASSES <= V; v += CLASSES)
        for (int k = 0; k < CLASSES / WIDTH; k++)
            top[k] = higher(load(y + v + k * WIDTH) - load(bounds + v + k * WIDTH) * size, top[k]);
    for (int k = 0; k < CLASSES / WIDTH; k++) store(classes + k * WIDTH, top[k]);
    for (int k = 0; k < V - v; k++) {
        float x = y[v + k] - bounds[v + k] * size;
        classes[k] = classes[k] > x ? classes[k] : x;
    }
    float wanted = sixteenth_of(classes, &best);
    wanted = best - NEAR < wanted ? best - NEAR : wanted;
    for (v = 0; v < V; v += CLASSES) {
        const int end = V - v < CLASSES ? V : v + CLASSES;
        if (end - v == CLASSES && !(also >= v && also < end)) {
            struct lanes most = lanes_of(LOWEST);
            for (int i = v; i < end; i += LANES)
                EACH(k) most.of[k / WIDTH] = higher(load(y + i + k) + load(bounds + i + k) * size, most.of[k / WIDTH]);
            if (highest(&most) < wanted) continue;
        }
        for (int i = v; i < end; i++) {
            if (!(i == also || y[i] + bounds[i] * size >= wanted)) continue;
            for (int c = 0; c < M->columns; c += 64) __builtin_prefetch(low + (int64_t)i * M->columns + c);
            these[found++] = i;
        }
        if (found <= FOUND - CLASSES && end < V) continue;
        for (int k = 0; k < found; k++)
            y[these[k]] += (float)product(low + (int64_t)these[k] * M->columns, q, M->columns) * (scales[these[k]] * scale);
        found = 0;
    }
}
#endif

/* `multiply` for the output layer, [rows, V] without gaps; also: a token of each row that is computed with both planes, or NULL. */
static void output(const struct engine_model *m, const struct engine_matrix *M, const float *x, int64_t stride, int64_t rows,
                   float *y, int V, const float *bias, const int32_t *also, struct rounded q) {
#ifndef __wasm__
    if (!IN_ROWS(M)) {
        multiply(m, M, x, stride, rows, y, V, V, bias, 0, q);
        return;
    }
    for (int64_t r = 0; r < rows; r += ROWS) {
        int n = rows - r < ROWS ? (int)(rows - r) : ROWS;
        rounded_rows(M, x + r * stride, stride, n, q);
        all_groups(m, M, q, n, y + r * V, V, V, bias, 0);
        for (int t = 0; t < n; t++)
            refine(m, M, q.x + (int64_t)t * M->columns, q.scale[t], y + (r + t) * V, V, also ? also[r + t] : -1);
    }
#else
    (void)also;
    multiply(m, M, x, stride, rows, y, V, V, bias, 0, q);
#endif
}

/* Output r alone, for one row of activations: the same bits as both planes of `output` have. */
static float single(const struct engine_model *m, const struct engine_matrix *M, int r, const float *x, const float *bias,
                    struct rounded q) {
    const int64_t group = (int64_t)(r / 16) * 16 * M->columns;
    if (IN_FLOATS(M)) {
        struct lanes of;
        float values[LANES];
        float_tile((const float *)at(m, M->high) + group, x, 0, M->columns, &of, 1);
        __builtin_memcpy(values, &of, sizeof values);
        return values[r % 16] + bias[r];
    }
    rounded_rows(M, x, 0, 1, q);
    const float scale = ((const float *)at(m, M->scale))[r] * q.scale[0];
    const int8_t *low = at(m, M->low);
    int32_t sums[16];
    products((const int8_t *)at(m, M->high) + group, q.x, M->columns, M->columns, sums, 1, 1);
    float v = (float)sums[r % 16] * 256.0f;
    if (!M->low) return v * scale + bias[r];
    if (IN_ROWS(M))
        return v * scale + bias[r] + (float)product(low + (int64_t)r * M->columns, q.x, M->columns) * scale;
    products(low + group, q.x, M->columns, M->columns, sums, 1, 1);
    return (v + (float)sums[r % 16]) * scale + bias[r];
}

/* Row r as float32 [columns]. */
static void row(const struct engine_model *m, const struct engine_matrix *M, int r, float *out) {
    if (IN_FLOATS(M)) {
        const float *of = (const float *)at(m, M->high) + (int64_t)(r / 16) * 16 * M->columns + r % 16;
        for (int c = 0; c < M->columns; c++) out[c] = of[(int64_t)c * 16];
        return;
    }
    const int8_t *high = (const int8_t *)at(m, M->high) + (int64_t)(r / 16) * 16 * M->columns + r % 16 * 2;
    const int8_t *low = at(m, M->low);
    const float scale = ((const float *)at(m, M->scale))[r];
    low += IN_ROWS(M) ? (int64_t)r * M->columns : (int64_t)(r / 16) * 16 * M->columns + r % 16 * 2;
    for (int c = 0; c < M->columns; c++) {
        int place = c / 2 * 32 + c % 2, w = 256 * high[place];
        if (M->low) w += low[IN_ROWS(M) ? c : place];
        out[c] = (float)w * scale;
    }
}
#endif
