/* float32 in a fixed order: vectors of 16 lanes whatever the machine has, exponential, tanh and logarithm of our own. */
#ifndef JUMOK_FLOATS_H
#define JUMOK_FLOATS_H
#include "simd.h"

/* A sum or a maximum is taken in 16 lanes, of which the last step makes one, in the same order on every machine. A vector holds
   them all; on wasm, where each of its operations would be four, a quarter of them, and EACH goes four times. */
#define LANES 16
#if defined(__wasm__)
#define WIDTH 4
#else
#define WIDTH 16
#endif
#define EACH(q) for (int q = 0; q < LANES; q += WIDTH)
#define LOWEST (-3e38f)

typedef float vector __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t bits __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ints __attribute__((vector_size(4 * WIDTH)));
struct lanes {
    vector of[LANES / WIDTH];
};

INLINE vector load(const float *p) {
    vector v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store(float *p, vector v) { __builtin_memcpy(p, &v, sizeof v); }
INLINE vector all(float x) { return (vector){0} + x; }
INLINE vector choose(ints yes, vector a, vector b) { return (vector)(((bits)yes & (bits)a) | (~(bits)yes & (bits)b)); }
INLINE vector higher(vector a, vector b) { return choose(a > b, a, b); }
INLINE vector magnitude(vector v) { return (vector)((bits)v & 0x7fffffffu); }
INLINE struct lanes lanes_of(float x) {
    struct lanes v;
    EACH(q) v.of[q / WIDTH] = all(x);
    return v;
}
/* The first `count` of p and then `rest` -> of [16]; p itself if it has 16. */
SHARED const float *sixteen(const float *p, int count, float rest, float *of) {
    if (count >= LANES) return p;
    for (int l = 0; l < LANES; l++) of[l] = l < count ? p[l] : rest;
    return of;
}

SHARED float sum(const struct lanes *v) {
    float of[LANES];
    __builtin_memcpy(of, v, sizeof of);
    for (int width = LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) of[l] += of[l + width];
    return of[0];
}
SHARED float highest(const struct lanes *v) {
    float of[LANES];
    __builtin_memcpy(of, v, sizeof of);
    for (int width = LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) of[l] = of[l] > of[l + width] ? of[l] : of[l + width];
    return of[0];
}

#define ROUND 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits */

/* As cephes' expf, within 1e-7; 0 below -87, and 88 is the most. */
SHARED vector exponential(vector x) {
    ints some = x > all(-87.0f);
    x = choose(some, x, all(-87.0f));
    x = choose(x < all(88.0f), x, all(88.0f));
    vector shifted = x * 1.44269504f + ROUND, r = shifted - ROUND;
    vector f = (x - r * 0.693359375f) + r * 2.12194440e-4f;
    vector p = f * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * (f * f) + (f + 1.0f);
    bits power = ((bits)shifted << 23) + 0x3f800000u;
    return (vector)((bits)(p * (vector)power) & (bits)some);
}
SHARED vector sigmoid(vector x) { return 1.0f / (1.0f + exponential(-x)); }
SHARED vector hyperbolic(vector x) { return 1.0f - 2.0f / (1.0f + exponential(x + x)); }

SHARED float exponential_of(float x) { return exponential(all(x))[0]; }
/* As cephes' logf, within 1e-7. Below the least normal number: that one's. */
SHARED vector logarithms(vector x) {
    x = higher(x, all(1.17549435e-38f));
    ints e = (ints)((bits)x >> 23 & 255u) - 126;
    vector m = (vector)(((bits)x & 0x7fffffu) | 0x3f000000u);
    ints small = m < all(0.70710678f);
    e += small; /* -1 where it holds */
    m = choose(small, m + m - 1.0f, m - 1.0f);
    vector z = m * m, y = m * 7.0376836292e-2f - 1.1514610310e-1f, exponent = __builtin_convertvector(e, vector);
    y = y * m + 1.1676998740e-1f;
    y = y * m - 1.2420140846e-1f;
    y = y * m + 1.4249322787e-1f;
    y = y * m - 1.6668057665e-1f;
    y = y * m + 2.0000714765e-1f;
    y = y * m - 2.4999993993e-1f;
    y = y * m + 3.3333331174e-1f;
    y = y * m * z;
    y += exponent * -2.12194440e-4f;
    y -= z * 0.5f;
    return m + y + exponent * 0.693359375f;
}
SHARED float logarithm(float x) { return logarithms(all(x))[0]; }

/* a · b; count is a multiple of 16. */
SHARED float inner(const float *a, const float *b, int count) {
    struct lanes s = lanes_of(0);
    for (int i = 0; i < count; i += LANES) EACH(q) s.of[q / WIDTH] += load(a + i + q) * load(b + i + q);
    return sum(&s);
}
static float highest_of(const float *x, int count) {
    struct lanes top = lanes_of(LOWEST);
    float rest[LANES];
    for (int i = 0; i < count; i += LANES) {
        const float *from = sixteen(x + i, count - i, LOWEST, rest);
        EACH(q) top.of[q / WIDTH] = higher(load(from + q), top.of[q / WIDTH]);
    }
    return highest(&top);
}
/* x -> exp(x - top), unless out is NULL; returns their sum. x and out may be the same. */
SHARED float exponentials(const float *x, float *out, int count, float top) {
    struct lanes s = lanes_of(0);
    float rest[LANES];
    for (int i = 0; i < count; i += LANES) {
        const float *from = sixteen(x + i, count - i, LOWEST, rest);
        const int last = from == rest;
        EACH(q) {
            vector e = exponential(load(from + q) - top);
            if (out) store((last ? rest : out + i) + q, e);
            s.of[q / WIDTH] += e;
        }
        if (out && last)
            for (int l = 0; l < count - i; l++) out[i + l] = rest[l];
    }
    return sum(&s);
}
static float exponential_sum(const float *x, int count, float top) { return exponentials(x, 0, count, top); }
static void softmax(float *x, int count) {
    float total = exponentials(x, x, count, highest_of(x, count));
    for (int i = 0; i < count; i++) x[i] /= total;
}
static void copy(float *restrict to, const float *restrict from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i];
}
static void clear(float *to, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = 0;
}
#endif
