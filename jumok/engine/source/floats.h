/* float32 in a fixed order: vectors of 16 lanes whatever the machine has, exponential, tanh and logarithm of our own. */
#ifndef JUMOK_FLOATS_H
#define JUMOK_FLOATS_H
#include "simd.h"

#define LANES 16
#define LOWEST (-3e38f)

typedef float vector __attribute__((vector_size(64)));
typedef uint32_t bits __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));

INLINE vector load(const float *p) {
    vector v;
    __builtin_memcpy(&v, p, 64);
    return v;
}
INLINE void store(float *p, vector v) { __builtin_memcpy(p, &v, 64); }
INLINE vector all(float x) { return (vector){0} + x; }
INLINE vector choose(ints yes, vector a, vector b) { return (vector)(((bits)yes & (bits)a) | (~(bits)yes & (bits)b)); }
INLINE vector higher(vector a, vector b) { return choose(a > b, a, b); }
/* The first `count` lanes of p, the others `rest`. */
INLINE vector partly(const float *p, int count, float rest) {
    float of[LANES];
    for (int l = 0; l < LANES; l++) of[l] = l < count ? p[l] : rest;
    return load(of);
}
INLINE void store_partly(float *p, vector v, int count) {
    float of[LANES];
    store(of, v);
    for (int l = 0; l < count; l++) p[l] = of[l];
}

INLINE float sum(vector v) {
    float of[LANES];
    store(of, v);
    for (int width = LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) of[l] += of[l + width];
    return of[0];
}
INLINE float highest(vector v) {
    float of[LANES];
    store(of, v);
    for (int width = LANES / 2; width; width /= 2)
        for (int l = 0; l < width; l++) of[l] = of[l] > of[l + width] ? of[l] : of[l + width];
    return of[0];
}

#define ROUND 12582912.0f /* 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits */

/* As cephes' expf, within 1e-7; 0 below -87, and 88 is the most. */
INLINE vector exponential(vector x) {
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
INLINE vector sigmoid(vector x) { return 1.0f / (1.0f + exponential(-x)); }
INLINE vector hyperbolic(vector x) { return 1.0f - 2.0f / (1.0f + exponential(x + x)); }

INLINE float exponential_of(float x) {
    float of[LANES];
    store(of, exponential(all(x)));
    return of[0];
}
/* As cephes' logf, within 1e-7. Below the least normal number: that one's. */
INLINE vector logarithms(vector x) {
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
INLINE float logarithm(float x) {
    float of[LANES];
    store(of, logarithms(all(x)));
    return of[0];
}

/* a · b; count is a multiple of 16. */
INLINE float inner(const float *a, const float *b, int count) {
    vector s = all(0);
    for (int i = 0; i < count; i += LANES) s += load(a + i) * load(b + i);
    return sum(s);
}
static float highest_of(const float *x, int count) {
    vector top = all(LOWEST);
    int i = 0;
    for (; i + LANES <= count; i += LANES) top = higher(load(x + i), top);
    return highest(i < count ? higher(partly(x + i, count - i, LOWEST), top) : top);
}
/* x -> exp(x - top); returns their sum. x and out may be the same. */
static float exponentials(const float *x, float *out, int count, float top) {
    vector s = all(0);
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        vector e = exponential(load(x + i) - top);
        store(out + i, e);
        s += e;
    }
    if (i < count) {
        vector e = exponential(partly(x + i, count - i, LOWEST) - top);
        store_partly(out + i, e, count - i);
        s += e;
    }
    return sum(s);
}
/* Σ exp(x - top), with the same bits as `exponentials`. */
static float exponential_sum(const float *x, int count, float top) {
    vector s = all(0);
    int i = 0;
    for (; i + LANES <= count; i += LANES) s += exponential(load(x + i) - top);
    if (i < count) s += exponential(partly(x + i, count - i, LOWEST) - top);
    return sum(s);
}
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
