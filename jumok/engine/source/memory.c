/* The four functions that a compiler may call by itself, since there is no C library under the engine. The empty asm keeps it from
seeing a memcpy in the loop of memcpy, which would then call itself for ever. */
#include <stddef.h>
#define KEEP_THE_LOOP __asm__ volatile("" ::: "memory")

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    char *a = to;
    const char *b = from;
    for (; n >= 16; n -= 16, a += 16, b += 16) {
        __builtin_memcpy(a, b, 16);
        KEEP_THE_LOOP;
    }
    for (; n; n--) {
        *a++ = *b++;
        KEEP_THE_LOOP;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n) {
    char *a = to;
    const char *b = from;
    if (a <= b) {
        for (size_t i = 0; i < n; i++) {
            a[i] = b[i];
            KEEP_THE_LOOP;
        }
    } else {
        while (n--) {
            a[n] = b[n];
            KEEP_THE_LOOP;
        }
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    char *a = to;
    for (size_t i = 0; i < n; i++) {
        a[i] = (char)value;
        KEEP_THE_LOOP;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t n) {
    const unsigned char *a = left, *b = right;
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
        KEEP_THE_LOOP;
    }
    return 0;
}

#if defined(_WIN32)
/* What Windows calls when it loads a library. */
int __stdcall DllMainCRTStartup(void *library, unsigned reason, void *reserved) {
    (void)library, (void)reason, (void)reserved;
    return 1;
}
#endif
