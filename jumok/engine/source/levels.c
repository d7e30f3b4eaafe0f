/* Which levels of instructions this library holds, and the highest of them that this CPU and its system can run. The CPU is asked
by hand, since there is no C library under the engine. Compiled once, beside engine.c for each level. */
#include "engine.h"

#ifndef ENGINE_LEVELS
#define ENGINE_LEVELS 2u
#endif
#ifndef ENGINE_MARK
#define ENGINE_MARK ""
#endif

/* The source that the library was built from; a loader compares it with the source that it knows. */
ENGINE_EXPORT const char *engine_mark(void) { return ENGINE_MARK; }

/* A bit for each level that is in this library: 1 << level. */
ENGINE_EXPORT uint32_t engine_levels(void) { return ENGINE_LEVELS; }

/* The highest level that is in this library and that this CPU runs; 0 if there is none. */
ENGINE_EXPORT int32_t engine_best_level(void);

#if defined(__x86_64__)

struct registers {
    uint32_t a, b, c, d;
};

static struct registers cpuid(uint32_t leaf) {
    struct registers r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

/* XCR0: which registers the system keeps for each thread. */
static uint32_t kept_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

#define BIT(n) (1u << (n))
static int has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

/* Bits: Intel's manual, volume 2, CPUID. What belongs to a level: the x86-64 psABI, table of micro-architecture levels. */
static int32_t cpu_level(void) {
    const uint32_t v1_d = BIT(25) | BIT(26);                                       /* SSE, SSE2 */
    const uint32_t v2_c = BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23); /* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT */
    const uint32_t v3_c = BIT(12) | BIT(22) | BIT(27) | BIT(28) | BIT(29);         /* FMA, MOVBE, OSXSAVE, AVX, F16C */
    const uint32_t v3_seven_b = BIT(3) | BIT(5) | BIT(8);                          /* BMI1, AVX2, BMI2 */
    const uint32_t v3_extended_c = BIT(0) | BIT(5);                                /* LAHF, LZCNT */
    const uint32_t v4_seven_b = BIT(16) | BIT(17) | BIT(28) | BIT(30) | BIT(31);   /* AVX-512 F, DQ, CD, BW, VL */
    const uint32_t v4_seven_c = BIT(11);                                           /* AVX-512 VNNI */
    const uint32_t ymm = BIT(1) | BIT(2), zmm = BIT(5) | BIT(6) | BIT(7);

    const uint32_t leaves = cpuid(0).a;
    if (leaves < 1 || !has(cpuid(1).d, v1_d)) return 0;
    if (leaves < 7 || cpuid(0x80000000u).a < 0x80000001u) return 1;
    const struct registers seven = cpuid(7);
    if (!has(cpuid(1).c, v2_c | v3_c) || !has(seven.b, v3_seven_b) || !has(cpuid(0x80000001u).c, v3_extended_c)) return 1;
    if (!has(kept_registers(), ymm)) return 1;
    if (!has(seven.b, v4_seven_b) || !has(seven.c, v4_seven_c) || !has(kept_registers(), ymm | zmm)) return 3;
    return 4;
}

#else

static int32_t cpu_level(void) { return 1; }

#endif

int32_t engine_best_level(void) {
    int32_t level = cpu_level();
    while (level > 0 && !(ENGINE_LEVELS >> level & 1)) level--;
    return level;
}
