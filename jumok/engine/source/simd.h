/* The one file that knows instruction sets: products of int8 weights with int16 activations, as exact int32 sums.

A product's sums are the same in any order, so that every instruction set, and every tile, gives the same bits. They cannot
overflow: see `most` in matrix.h. */
#ifndef JUMOK_SIMD_H
#define JUMOK_SIMD_H
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline, unused))
/* Small functions that stand in many places: on wasm, which a page carries, there is one of each. */
#if defined(__wasm__)
#define SHARED static __attribute__((noinline, unused))
#else
#define SHARED INLINE
#endif
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Of each instruction set: a vector of sums, one for each of 16 / PARTS rows; `wide`, so many rows of two weights each;
   `both`, two activations in every lane; TILE, the most rows of activations that share a pass over the weights. */
#if defined(__AVX512BW__) && !defined(ENGINE_PLAIN)
#include <immintrin.h>
#define PARTS 1
#define TILE 8
typedef __m512i sums;
typedef __m512i wide;
typedef __m512i pair;
INLINE sums nothing(void) { return _mm512_setzero_si512(); }
INLINE wide widen(const int8_t *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)p)); }
INLINE pair both(const int16_t *x) {
    int32_t two;
    __builtin_memcpy(&two, x, 4);
    return _mm512_set1_epi32(two);
}
#if defined(__AVX512VNNI__)
/* By hand: clang would take the intrinsic apart, into a product and a sum, where it sees a chain of them. */
INLINE sums more(sums s, wide w, pair x) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(s) : "v"(w), "v"(x));
    return s;
}
#else
INLINE sums more(sums s, wide w, pair x) { return _mm512_add_epi32(s, _mm512_madd_epi16(w, x)); }
#endif
INLINE sums plus(sums a, sums b) { return _mm512_add_epi32(a, b); }
INLINE void keep(int32_t *to, sums s) { _mm512_storeu_si512((void *)to, s); }

#elif defined(__AVX2__) && !defined(ENGINE_PLAIN)
#include <immintrin.h>
#define PARTS 2
#define TILE 4
typedef __m256i sums;
typedef __m256i wide;
typedef __m256i pair;
INLINE sums nothing(void) { return _mm256_setzero_si256(); }
INLINE wide widen(const int8_t *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)p)); }
INLINE pair both(const int16_t *x) {
    int32_t two;
    __builtin_memcpy(&two, x, 4);
    return _mm256_set1_epi32(two);
}
INLINE sums more(sums s, wide w, pair x) { return _mm256_add_epi32(s, _mm256_madd_epi16(w, x)); }
INLINE sums plus(sums a, sums b) { return _mm256_add_epi32(a, b); }
INLINE void keep(int32_t *to, sums s) { _mm256_storeu_si256((void *)to, s); }

#elif defined(__SSE2__) && !defined(ENGINE_PLAIN)
#include <emmintrin.h>
#define PARTS 4
#define TILE 2
typedef __m128i sums;
typedef __m128i wide;
typedef __m128i pair;
INLINE sums nothing(void) { return _mm_setzero_si128(); }
INLINE wide widen(const int8_t *p) {
    __m128i bytes = _mm_loadl_epi64((const void *)p);
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
}
INLINE pair both(const int16_t *x) {
    int32_t two;
    __builtin_memcpy(&two, x, 4);
    return _mm_set1_epi32(two);
}
INLINE sums more(sums s, wide w, pair x) { return _mm_add_epi32(s, _mm_madd_epi16(w, x)); }
INLINE sums plus(sums a, sums b) { return _mm_add_epi32(a, b); }
INLINE void keep(int32_t *to, sums s) { _mm_storeu_si128((void *)to, s); }

#elif defined(__aarch64__) && !defined(ENGINE_PLAIN)
#include <arm_neon.h>
#define PARTS 4
#define TILE 4
typedef int32x4_t sums;
typedef struct {
    int16x4_t even, odd;
} wide;
typedef int16x4x2_t pair;
INLINE sums nothing(void) { return vdupq_n_s32(0); }
INLINE wide widen(const int8_t *p) {
    int16x8_t long_ = vmovl_s8(vld1_s8(p));
    return (wide){vget_low_s16(vuzp1q_s16(long_, long_)), vget_low_s16(vuzp2q_s16(long_, long_))};
}
INLINE pair both(const int16_t *x) { return vld2_dup_s16(x); }
INLINE sums more(sums s, wide w, pair x) { return vmlal_s16(vmlal_s16(s, w.even, x.val[0]), w.odd, x.val[1]); }
INLINE sums plus(sums a, sums b) { return vaddq_s32(a, b); }
INLINE void keep(int32_t *to, sums s) { vst1q_s32(to, s); }

#elif defined(__wasm_simd128__) && !defined(ENGINE_PLAIN)
#include <wasm_simd128.h>
#define PARTS 4
#define TILE 2
typedef v128_t sums;
typedef v128_t wide;
typedef v128_t pair;
INLINE sums nothing(void) { return wasm_i32x4_const_splat(0); }
INLINE wide widen(const int8_t *p) { return wasm_i16x8_load8x8(p); }
INLINE pair both(const int16_t *x) { return wasm_v128_load32_splat(x); }
INLINE sums more(sums s, wide w, pair x) { return wasm_i32x4_add(s, wasm_i32x4_dot_i16x8(w, x)); }
INLINE sums plus(sums a, sums b) { return wasm_i32x4_add(a, b); }
INLINE void keep(int32_t *to, sums s) { wasm_v128_store(to, s); }

#else /* plain C, the reference; unsigned, so that even sums of nonsense wrap around */
#define PARTS 1
#define TILE 1
typedef struct {
    uint32_t of[16];
} sums;
typedef struct {
    int8_t of[32];
} wide;
typedef struct {
    int32_t first, second;
} pair;
INLINE sums nothing(void) { return (sums){{0}}; }
INLINE wide widen(const int8_t *p) {
    wide w;
    for (int i = 0; i < 32; i++) w.of[i] = p[i];
    return w;
}
INLINE pair both(const int16_t *x) { return (pair){x[0], x[1]}; }
INLINE sums more(sums s, wide w, pair x) {
    for (int i = 0; i < 16; i++) s.of[i] += (uint32_t)(w.of[2 * i] * x.first) + (uint32_t)(w.of[2 * i + 1] * x.second);
    return s;
}
INLINE sums plus(sums a, sums b) {
    for (int i = 0; i < 16; i++) a.of[i] += b.of[i];
    return a;
}
INLINE void keep(int32_t *to, sums s) {
    for (int i = 0; i < 16; i++) to[i] = (int32_t)s.of[i];
}
#endif

#if PARTS == 1 && TILE == 8
#define GROUPS 2 /* groups that share the loads of activations */
#else
#define GROUPS 1
#endif
#define AHEAD 4096 /* bytes of weights that are fetched early: the first pass over them is bound by memory */
#define VECTORS 8  /* of sums, so that their latency is hidden */

/* G groups of 16 rows of weights, [columns / 2][16][2] each; x: T rows of activations, `stride` apart -> out [G][T][16]. */
INLINE void tile(const int8_t *weights, const int16_t *x, int64_t stride, int columns, int32_t *out, const int G, const int T) {
    const int used = PARTS * G * T, chains = VECTORS / used >= 8 ? 8 : VECTORS / used >= 4 ? 4 : VECTORS / used >= 2 ? 2 : 1;
    const int8_t *groups[GROUPS];
    sums s[GROUPS][PARTS][TILE][8];
    UNROLL for (int g = 0; g < G; g++) groups[g] = weights + (int64_t)g * 16 * columns;
    UNROLL for (int g = 0; g < G; g++)
        UNROLL for (int part = 0; part < PARTS; part++)
            UNROLL for (int t = 0; t < T; t++)
                UNROLL for (int k = 0; k < chains; k++) s[g][part][t][k] = nothing();
    for (int c = 0; c < columns; c += 2 * chains) { /* 2 * chains divides 16 */
        UNROLL for (int k = 0; k < chains; k++) {
            wide w[GROUPS][PARTS];
            UNROLL for (int g = 0; g < G; g++) {
                const int8_t *p = groups[g] + (int64_t)(c + 2 * k) * 16;
                if (T == 1 && k % 2 == 0) __builtin_prefetch(p + AHEAD);
                UNROLL for (int part = 0; part < PARTS; part++) w[g][part] = widen(p + part * (32 / PARTS));
            }
            UNROLL for (int t = 0; t < T; t++) {
                pair two = both(x + t * stride + c + 2 * k);
                UNROLL for (int g = 0; g < G; g++)
                    UNROLL for (int part = 0; part < PARTS; part++)
                        s[g][part][t][k] = more(s[g][part][t][k], w[g][part], two);
            }
        }
    }
    UNROLL for (int g = 0; g < G; g++)
        UNROLL for (int part = 0; part < PARTS; part++)
            UNROLL for (int t = 0; t < T; t++) {
                UNROLL for (int k = 1; k < chains; k++) s[g][part][t][0] = plus(s[g][part][t][0], s[g][part][t][k]);
                keep(out + 16 * (g * T + t) + part * (16 / PARTS), s[g][part][t][0]);
            }
}

/* As `tile`, for 1 to GROUPS groups and 1 to TILE rows. */
static void products(const int8_t *weights, const int16_t *x, int64_t stride, int columns, int32_t *out, int groups, int rows) {
#define CASE(G, T) case 16 * G + T: tile(weights, x, stride, columns, out, G, T); break;
#if TILE >= 8
#define CASES(G) CASE(G, 1) CASE(G, 2) CASE(G, 3) CASE(G, 4) CASE(G, 5) CASE(G, 6) CASE(G, 7) CASE(G, 8)
#elif TILE >= 4
#define CASES(G) CASE(G, 1) CASE(G, 2) CASE(G, 3) CASE(G, 4)
#elif TILE >= 2
#define CASES(G) CASE(G, 1) CASE(G, 2)
#else
#define CASES(G) CASE(G, 1)
#endif
    switch (16 * groups + rows) {
        CASES(1)
#if GROUPS == 2
        CASES(2)
#endif
    }
#undef CASES
#undef CASE
}

/* One row of weights that stands by itself, [columns]. */
SHARED int32_t product(const int8_t *row, const int16_t *x, int columns) {
#if defined(__AVX2__) && !defined(ENGINE_PLAIN)
    __m256i s = _mm256_setzero_si256();
    for (int c = 0; c < columns; c += 16) {
        __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(row + c)));
        s = _mm256_add_epi32(s, _mm256_madd_epi16(w, _mm256_loadu_si256((const void *)(x + c))));
    }
    __m128i t = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(t, _mm_shuffle_epi32(t, 0xb1)));
#else
    uint32_t s = 0; /* compilers know how to vectorise this */
    for (int c = 0; c < columns; c++) s += (uint32_t)(row[c] * x[c]);
    return (int32_t)s;
#endif
}
#endif
