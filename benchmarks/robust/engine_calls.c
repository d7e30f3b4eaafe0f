/* Random calls of the engine with memory of exactly the sizes that it asks for; see engine_calls.py, which builds and runs this.

A case draws from its bytes, and from a generator when they are used up: a model of any shape, whose numbers may be huge, infinite or
NaN, or whose header may be damaged; then sentences, steps, a choice of beams, a greedy search, scores. Ids, lengths and limits are now
and then out of range. It ends the process if anything is answered wrongly; the sanitizers do so if memory is.

With -DFUZZER a case is an input of libFuzzer; with -DTHREADED it is one model and its tables in eight threads at once; else `main`
takes the number of cases and the first seed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static uint64_t calls, refused, damaged_and_taken, hash = 1469598103934665603u;

/* Takes what a call gave into the hash, which is the same wherever every bit is. */
static void note(const void *results, int64_t words) {
    for (int64_t i = 0; results && i < words; i++) {
        uint32_t bits;
        memcpy(&bits, (const char *)results + 4 * i, 4);
        if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u; /* any NaN */
        hash = (hash ^ bits) * 1099511628211u;
    }
}

#define DEMAND(what)                                                                       \
    do {                                                                                   \
        if (!(what)) {                                                                     \
            fprintf(stderr, "engine_calls.c:%d: not so: %s\n", __LINE__, #what);            \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* Where a case's choices come from. */
struct draws {
    const uint8_t *data;
    size_t size, next;
    uint64_t state;
};
static uint32_t word(struct draws *d) {
    uint32_t value = 0;
    if (d->next + 2 <= d->size) {
        value = (uint32_t)d->data[d->next] | (uint32_t)d->data[d->next + 1] << 8;
        d->next += 2;
        return value * 0x10001u;
    }
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->state >> 32);
}
static int below(struct draws *d, int n) { return (int)(((uint64_t)word(d) * (uint32_t)n) >> 32); }
static int one_in(struct draws *d, int n) { return below(d, n) == 0; }
static int between(struct draws *d, int low, int high) { return low + below(d, high - low + 1); }

static void *block(int64_t bytes) {
    DEMAND(bytes >= 0 && bytes < (int64_t)1 << 28);
    void *p = 0;
    DEMAND(posix_memalign(&p, 64, bytes ? (size_t)bytes : 1) == 0);
    memset(p, 0x7f, (size_t)bytes); /* large floats: what is not written is seen in the results */
    return p;
}

/* A float as one can stand in a file; only with `wild` one that is not finite. */
static float number(struct draws *d, float size, int wild) {
    static const float extremes[] = {0.0f, -0.0f, 1e-45f, 1e-38f, 3.4e38f, -3.4e38f, 1e30f, 1.0f};
    if (wild && one_in(d, 12)) {
        uint32_t bits = below(d, 2) ? 0x7f800000u : 0x7fc00000u + (uint32_t)below(d, 1000); /* infinite, NaN */
        bits |= (uint32_t)below(d, 2) << 31;
        float x;
        memcpy(&x, &bits, 4);
        return x;
    }
    if (wild && one_in(d, 8)) return extremes[below(d, 8)];
    return size * ((float)below(d, 20001) / 10000.0f - 1.0f);
}

/* The model that is being made, and where its next array goes. */
struct making {
    struct draws *d;
    char *bytes;
    uint32_t blocks;
    int wild, planes;
};
static engine_offset array(struct making *k, int64_t bytes) {
    engine_offset here = k->blocks;
    k->blocks += (uint32_t)((bytes + 63) / 64);
    k->bytes = realloc(k->bytes, (size_t)k->blocks * 64);
    DEMAND(k->bytes);
    memset(k->bytes + (size_t)here * 64, 0, (size_t)(k->blocks - here) * 64);
    return here;
}
static engine_offset floats(struct making *k, int count, float size) {
    engine_offset here = array(k, 4 * (int64_t)count);
    for (int i = 0; i < count; i++) {
        float x = number(k->d, size, k->wild);
        memcpy(k->bytes + (size_t)here * 64 + 4 * (size_t)i, &x, 4);
    }
    return here;
}
static engine_offset plane(struct making *k, int64_t size) {
    engine_offset here = array(k, size);
    uint64_t state = word(k->d);
    const int all = k->wild && one_in(k->d, 3), value = all ? (one_in(k->d, 2) ? -128 : 127) : 0;
    for (int64_t i = 0; i < size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        k->bytes[(size_t)here * 64 + (size_t)i] = (char)(all ? value : (int)(state >> 33) % 255 - 127);
    }
    return here;
}
static struct engine_matrix matrix(struct making *k, int rows, int columns, int screened) {
    struct engine_matrix m;
    memset(&m, 0, sizeof m);
    m.rows = (rows + 15) & ~15;
    m.columns = (columns + 15) & ~15;
    if (k->planes == 0) {
        m.order = ENGINE_FLOATS;
        m.high = floats(k, m.rows * m.columns, 0.3f);
        return m;
    }
    m.high = plane(k, (int64_t)m.rows * m.columns);
    if (k->planes == 2) m.low = plane(k, (int64_t)m.rows * m.columns);
    m.scale = floats(k, m.rows, 1e-4f);
    if (screened && m.low) {
        m.order = ENGINE_ROWS;
        m.bound = array(k, 4 * (int64_t)m.rows);
        for (int r = 0; r < m.rows; r++) {
            float scale, bound;
            memcpy(&scale, k->bytes + (size_t)m.scale * 64 + 4 * (size_t)r, 4);
            bound = (scale < 0 ? -scale : scale) * 128.0f * (float)m.columns; /* more than the least that would do */
            memcpy(k->bytes + (size_t)m.bound * 64 + 4 * (size_t)r, &bound, 4);
        }
    }
    return m;
}
static struct engine_layer layer(struct making *k, int rows, int from, int size) {
    struct engine_layer l;
    memset(&l, 0, sizeof l);
    l.input = matrix(k, rows, from, 0);
    l.recurrent = matrix(k, rows, size, 0);
    l.bias = floats(k, (rows + 15) & ~15, 1.0f);
    return l;
}

static int wide(int n) { return (n + 15) & ~15; }

static struct engine_model *make_model(struct draws *d, int64_t *bytes) {
    struct engine_model m;
    struct making k = {d, 0, (sizeof m + 63) / 64, one_in(d, 4), between(d, 0, 2)}; /* 0 planes: float32 */
    memset(&m, 0, sizeof m);
    m.magic = ENGINE_MAGIC;
    m.abi = ENGINE_ABI;
    m.cell = below(d, 2);
    m.layers = one_in(d, 3) ? between(d, 2, 3) : 1;
    m.directions = between(d, 1, 2);
    m.reversed = below(d, 2);
    m.attention = below(d, 4);
    m.alignment = m.attention ? below(d, 2) : 0;
    m.copying = m.alignment ? below(d, 2) : 0;
    m.readout = below(d, 2);
    m.feeding = !m.alignment && m.readout == ENGINE_TANH ? below(d, 2) : 0;
    m.half = one_in(d, 5) ? between(d, 1, 70) : between(d, 1, 20);
    m.hidden = m.half * m.directions;
    m.embedding = between(d, 1, 40);
    m.inner = m.attention == ENGINE_CONCAT ? between(d, 1, 40) : 0;
    m.features = m.readout == ENGINE_TANH ? between(d, 1, 40) : m.attention && !m.alignment ? 2 * m.hidden : m.hidden;
    m.source_size = between(d, 3, 40);
    m.target_size = one_in(d, 4) ? between(d, 3, 400) : between(d, 3, 40);
    const int H = wide(m.hidden), h = wide(m.half), E = wide(m.embedding), A = wide(m.inner);
    const int G = m.cell == ENGINE_LSTM ? 4 : 3, V = m.target_size;
    const int F = m.readout == ENGINE_TANH ? wide(m.features) : m.attention && !m.alignment ? 2 * H : H;
    m.source_embedding = matrix(&k, m.source_size, E, 0);
    m.target_embedding = matrix(&k, V, E, 0);
    for (int l = 0; l < m.layers; l++) {
        for (int e = 0; e < m.directions; e++) m.encoder[l][e] = layer(&k, G * h, l ? H : E, h);
        m.decoder[l] = layer(&k, G * H, l ? H : E, H);
    }
    if (m.feeding) m.feed = matrix(&k, G * H, F, 0);
    if (m.attention == ENGINE_GENERAL) m.score_memory = matrix(&k, H, H, 0);
    if (m.attention == ENGINE_CONCAT) {
        m.score_memory = matrix(&k, A, H, 0);
        m.score_query = matrix(&k, A, H, 0);
        m.score_vector = floats(&k, A, 1.0f);
    }
    if (m.readout == ENGINE_TANH) m.readout_query = matrix(&k, F, H, 0);
    if (m.readout == ENGINE_TANH && m.attention) m.readout_context = matrix(&k, F, H, 0);
    m.output = matrix(&k, V, F, !m.alignment && below(d, 2));
    m.output_bias = floats(&k, wide(V), 1.0f);
    if (m.alignment && m.readout == ENGINE_LINEAR) m.output_context = matrix(&k, V, H, 0);
    if (m.alignment) {
        m.jump_weights = floats(&k, ENGINE_JUMPS * H, 1.0f);
        m.jump_bias = floats(&k, 16, 1.0f);
    }
    if (m.copying) {
        m.copy_memory = floats(&k, H, 1.0f);
        m.copy_query = floats(&k, H, 1.0f);
        m.copy_bias = floats(&k, 16, 1.0f);
        m.copies = array(&k, 4 * (int64_t)m.source_size);
        for (int i = 0; i < m.source_size; i++) {
            int32_t id = between(d, -1, V - 1);
            memcpy(k.bytes + (size_t)m.copies * 64 + 4 * (size_t)i, &id, 4);
        }
    }
    m.blocks = k.blocks;
    *bytes = (int64_t)k.blocks * 64;
    memcpy(k.bytes, &m, sizeof m);
    struct engine_model *model = block(*bytes);
    memcpy(model, k.bytes, (size_t)*bytes);
    free(k.bytes);
    return model;
}

/* Whether both are the same, bit for bit; any NaN is like any other. */
static int same(const float *a, const float *b, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (memcmp(a + i, b + i, 4) != 0 && !(a[i] != a[i] && b[i] != b[i])) return 0;
    return 1;
}
static int untouched(const void *p, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i++)
        if (((const char *)p)[i] != 0x7f) return 0;
    return 1;
}
static int32_t out_of_range(struct draws *d, int low, int size) {
    static const int32_t far[] = {INT32_MIN, INT32_MAX, -1, 1 << 24};
    int32_t id = one_in(d, 2) ? size + below(d, 3) : far[below(d, 4)];
    return id < low || id >= size ? id : size;
}

struct sentences {
    int B, S;
    int32_t *tokens, *lengths;
    int fit;
};
static struct sentences sentences(struct draws *d, const struct engine_model *m) {
    struct sentences s = {one_in(d, 40) ? between(d, 60, 70) : between(d, 1, 6), between(d, 1, 9), 0, 0, 1};
    s.tokens = block(4 * (int64_t)s.B * s.S);
    s.lengths = block(4 * (int64_t)s.B);
    for (int i = 0; i < s.B * s.S; i++) s.tokens[i] = below(d, m->source_size);
    for (int b = 0; b < s.B; b++) s.lengths[b] = between(d, 1, s.S);
    if (one_in(d, 20)) {
        s.fit = 0;
        if (one_in(d, 2)) s.tokens[below(d, s.B * s.S)] = out_of_range(d, 0, m->source_size);
        else s.lengths[below(d, s.B)] = out_of_range(d, 1, s.S + 1);
    }
    return s;
}

/* The work of a case: outputs and memory for one model. */
static void search(struct draws *d, const struct engine_model *m, void *tables, const struct sentences *s) {
    const int V = m->target_size, S = s->S, looks = below(d, 3) && m->attention;
    const int64_t source = engine_source_floats(m, S), beam = engine_beam_floats(m, S);
    DEMAND(source > 0 && beam > 0 && source % 16 == 0 && beam % 16 == 0);
    float *sources = block(4 * s->B * source), *before = block(4 * s->B * beam);
    void *scratch = block(engine_scratch_bytes(m, s->B, S, 0));
    calls++;
    int32_t code = engine_start(m, tables, s->B, S, s->tokens, s->lengths, sources, before, scratch);
    free(scratch);
    DEMAND(code == (s->fit ? 0 : -1));
    if (code) {
        refused++;
        DEMAND(untouched(sources, 4 * s->B * source) && untouched(before, 4 * s->B * beam));
    } else {
        note(before, s->B * beam);
    }
    int N = s->B, steps = code ? 0 : below(d, 4);
    int32_t *owners = block(4 * (int64_t)N);
    for (int i = 0; i < N; i++) owners[i] = i;
    for (int t = 0; t < steps; t++) {
        const int n = between(d, 1, one_in(d, 30) ? 70 : 10);
        int32_t *parents = block(4 * (int64_t)n), *new_owners = block(4 * (int64_t)n), *tokens = block(4 * (int64_t)n);
        float *chosen = block(4 * n * beam), *after = block(4 * n * beam);
        float *logs = block(4 * (int64_t)n * V), *weights = looks ? block(4 * (int64_t)n * S) : 0;
        for (int i = 0; i < n; i++) {
            parents[i] = below(d, N);
            new_owners[i] = owners[parents[i]];
            tokens[i] = below(d, V);
        }
        const int fit = !one_in(d, 20);
        if (!fit) tokens[below(d, n)] = out_of_range(d, 0, V);
        calls++;
        engine_select(m, S, n, parents, before, chosen);
        for (int i = 0; i < n; i++) DEMAND(same(chosen + i * beam, before + parents[i] * beam, beam));
        scratch = block(engine_scratch_bytes(m, n, S, 0));
        calls++;
        code = engine_step(m, tables, n, S, tokens, new_owners, s->lengths, sources, chosen, after, logs, weights, scratch);
        free(scratch);
        DEMAND(code == (fit ? 0 : -1));
        if (code) {
            refused++;
            DEMAND(untouched(after, 4 * n * beam) && untouched(logs, 4 * (int64_t)n * V));
            DEMAND(!weights || untouched(weights, 4 * (int64_t)n * S));
        } else if (one_in(d, 3)) { /* one of the rows by itself: the same bits */
            const int i = below(d, n);
            float *after1 = block(4 * beam), *logs1 = block(4 * (int64_t)V), *weights1 = looks ? block(4 * (int64_t)S) : 0;
            scratch = block(engine_scratch_bytes(m, 1, S, 0));
            calls++;
            DEMAND(!engine_step(m, 0, 1, S, tokens + i, new_owners + i, s->lengths, sources, chosen + i * beam, after1, logs1,
                                weights1, scratch));
            DEMAND(same(after1, after + i * beam, beam) && same(logs1, logs + (int64_t)i * V, V));
            DEMAND(!looks || same(weights1, weights + (int64_t)i * S, S));
            free(after1), free(logs1), free(weights1), free(scratch);
        }
        if (!code) note(after, n * beam), note(logs, (int64_t)n * V), note(weights, (int64_t)n * S);
        for (int i = 0; weights && !code && i < n; i++)
            for (int p = s->lengths[new_owners[i]]; p < S; p++) DEMAND(weights[(int64_t)i * S + p] == 0);
        free(parents), free(tokens), free(logs), free(weights), free(owners);
        owners = new_owners;
        N = n;
        free(before);
        if (code) {
            free(after);
            before = chosen;
        } else {
            free(chosen);
            before = after;
        }
    }
    free(sources), free(before), free(owners);
}

static void greedy(struct draws *d, const struct engine_model *m, void *tables, const struct sentences *s) {
    const int V = m->target_size, S = s->S, B = s->B, L = between(d, 1, 6), count = below(d, 3), looks = below(d, 2);
    int32_t *limits = block(4 * (int64_t)B), *never = block(4 * (int64_t)count), *steps = block(4 * (int64_t)B);
    int32_t *written = block(4 * (int64_t)B * L);
    float *logs = block(4 * (int64_t)B * L), *weights = looks ? block(4 * (int64_t)B * L * S) : 0;
    float *margins = block(4 * (int64_t)B), *work = block(4 * engine_greedy_floats(m, B, S));
    void *scratch = block(engine_scratch_bytes(m, B, S, 0));
    int fit = s->fit;
    for (int b = 0; b < B; b++) limits[b] = between(d, 1, L);
    for (int i = 0; i < count; i++) never[i] = below(d, 2); /* pad and start: not the end */
    if (one_in(d, 20)) {
        fit = 0;
        if (count && one_in(d, 2)) never[0] = out_of_range(d, 0, V);
        else limits[below(d, B)] = out_of_range(d, 1, L + 1);
    }
    calls++;
    int32_t code = engine_greedy(m, tables, B, S, s->tokens, s->lengths, limits, L, never, count, written, logs, weights, steps,
                                 margins, work, scratch);
    DEMAND(code == (fit ? 0 : -1));
    if (code) {
        refused++;
        DEMAND(untouched(written, 4 * (int64_t)B * L) && untouched(logs, 4 * (int64_t)B * L) && untouched(steps, 4 * (int64_t)B));
        DEMAND(!weights || untouched(weights, 4 * (int64_t)B * L * S));
    }
    free(work), free(scratch);
    for (int b = 0; b < B && !code; b++) {
        note(steps + b, 1), note(written + (int64_t)b * L, steps[b]), note(logs + (int64_t)b * L, steps[b]), note(margins + b, 1);
        if (looks && m->attention) note(weights + (int64_t)b * L * S, (int64_t)steps[b] * S);
        DEMAND(steps[b] >= 1 && steps[b] <= limits[b]);
        for (int t = 0; t < steps[b]; t++) DEMAND(written[b * L + t] >= 0 && written[b * L + t] < V);
        DEMAND(steps[b] == limits[b] || written[b * L + steps[b] - 1] == 2);
    }
    if (!code && one_in(d, 2)) { /* one sentence by itself, without tables: the same bits */
        const int b = below(d, B), length = s->lengths[b];
        int32_t *written1 = block(4 * (int64_t)L), steps1 = 0;
        float *logs1 = block(4 * (int64_t)L), *weights1 = looks ? block(4 * (int64_t)L * length) : 0, margin1;
        work = block(4 * engine_greedy_floats(m, 1, length));
        scratch = block(engine_scratch_bytes(m, 1, length, 0));
        calls++;
        DEMAND(!engine_greedy(m, 0, 1, length, s->tokens + (int64_t)b * S, s->lengths + b, limits + b, L, never, count, written1, logs1,
                              weights1, &steps1, &margin1, work, scratch));
        DEMAND(steps1 == steps[b] && !memcmp(written1, written + (int64_t)b * L, 4 * (size_t)steps1));
        DEMAND(same(logs1, logs + (int64_t)b * L, steps1) && same(&margin1, margins + b, 1));
        for (int t = 0; t < steps1 && looks && m->attention; t++)
            DEMAND(same(weights1 + (int64_t)t * length, weights + ((int64_t)b * L + t) * S, length));
        free(written1), free(logs1), free(weights1), free(work), free(scratch);
    }
    free(limits), free(never), free(steps), free(written), free(logs), free(weights), free(margins);
}

static void beams(struct draws *d, const struct engine_model *m, void *tables, const struct sentences *s) {
    const int V = m->target_size, S = s->S, B = s->B, L = between(d, 1, 6), count = below(d, 3), looks = below(d, 2);
    int K = one_in(d, 10) ? between(d, 9, ENGINE_BEAM) : between(d, 1, 8), nbest = between(d, 1, K);
    const int64_t n = (int64_t)B * nbest;
    int32_t *limits = block(4 * (int64_t)B), *never = block(4 * (int64_t)count), *steps = block(4 * n), *written = block(4 * n * L);
    float *logs = block(4 * n * L), *weights = looks ? block(4 * n * L * S) : 0;
    float *margins = block(4 * (int64_t)B);
    double *totals = block(8 * n), *scores = block(8 * n), *divisors = block(8 * (int64_t)(L + 1));
    void *work = block(engine_beam_bytes(m, B, S, L, K)), *scratch = block(engine_scratch_bytes(m, B * K, S, 0));
    int fit = s->fit;
    for (int b = 0; b < B; b++) limits[b] = between(d, 1, L);
    for (int i = 0; i < count; i++) never[i] = below(d, V); /* any, the end too */
    for (int t = 0; t <= L; t++) divisors[t] = 1 + t * (below(d, 2) ? 0.5 : 1);
    for (int t = 1; t <= L; t++) divisors[t] = divisors[t] < divisors[t - 1] ? divisors[t - 1] : divisors[t];
    if (one_in(d, 20)) {
        fit = 0;
        if (one_in(d, 3)) K = one_in(d, 2) ? 0 : out_of_range(d, 1, ENGINE_BEAM + 1);
        else if (one_in(d, 2)) nbest = one_in(d, 2) ? K + 1 : 0;
        else limits[below(d, B)] = out_of_range(d, 1, L + 1);
    }
    calls++;
    int32_t code = engine_beam(m, tables, B, S, s->tokens, s->lengths, limits, L, never, count, K, nbest, divisors, written, logs,
                               weights, steps, totals, scores, margins, work, scratch);
    DEMAND(code == (fit ? 0 : -1));
    if (code) {
        refused++;
        DEMAND(untouched(written, 4 * n * L) && untouched(logs, 4 * n * L) && untouched(steps, 4 * n));
        DEMAND(untouched(totals, 8 * n) && untouched(scores, 8 * n));
    }
    for (int64_t i = 0; i < n && !code; i++) {
        DEMAND(steps[i] >= 0 && steps[i] <= limits[i / nbest]);
        for (int t = 0; t < steps[i]; t++) DEMAND(written[i * L + t] >= 0 && written[i * L + t] < V);
        note(steps + i, 1), note(written + i * L, steps[i]), note(logs + i * L, steps[i]);
        if (looks && m->attention) note(weights + i * L * S, (int64_t)steps[i] * S);
    }
    free(limits), free(never), free(steps), free(written), free(logs), free(weights);
    for (int b = 0; b < B && !code; b++) note(margins + b, 1);
    free(totals), free(scores), free(divisors), free(margins), free(work), free(scratch);
}

static void score(struct draws *d, const struct engine_model *m, void *tables, const struct sentences *s) {
    const int V = m->target_size, S = s->S, B = s->B, T = between(d, 1, 6), looks = below(d, 2);
    int32_t *targets = block(4 * (int64_t)B * T), *lengths = block(4 * (int64_t)B);
    float *logs = block(4 * (int64_t)B * T), *weights = looks ? block(4 * (int64_t)B * T * S) : 0;
    float *work = block(4 * engine_greedy_floats(m, B, S));
    void *scratch = block(engine_scratch_bytes(m, B, S, T));
    int fit = s->fit;
    for (int i = 0; i < B * T; i++) targets[i] = below(d, V);
    for (int b = 0; b < B; b++) lengths[b] = between(d, 1, T);
    if (one_in(d, 20)) {
        fit = 0;
        if (one_in(d, 2)) targets[below(d, B * T)] = out_of_range(d, 0, V);
        else lengths[below(d, B)] = out_of_range(d, 1, T + 1);
    }
    calls++;
    int32_t code =
        engine_score(m, tables, B, S, s->tokens, s->lengths, T, targets, lengths, logs, weights, work, scratch);
    DEMAND(code == (fit ? 0 : -1));
    if (code) {
        refused++;
        DEMAND(untouched(logs, 4 * (int64_t)B * T) && (!weights || untouched(weights, 4 * (int64_t)B * T * S)));
    }
    if (!code) note(logs, (int64_t)B * T), note(m->attention ? weights : 0, (int64_t)B * T * S);
    for (int b = 0; b < B && !code; b++)
        for (int t = lengths[b]; t < T; t++) DEMAND(logs[b * T + t] == 0);
    free(targets), free(lengths), free(logs), free(weights), free(work), free(scratch);
}

#ifdef THREADED
#include <pthread.h>
enum { THREADS = 8, LONGEST = 6 };

/* One model, its tables and sentences, which all threads share; results of their own. */
struct shared {
    const struct engine_model *model;
    void *tables;
    struct sentences s;
};
struct thread {
    const struct shared *shared;
    int32_t *written, *steps;
    float *logs;
};
static void *search_alone(void *given) {
    struct thread *t = given;
    const struct shared *all = t->shared;
    const struct sentences *s = &all->s;
    int32_t *limits = block(4 * (int64_t)s->B);
    for (int b = 0; b < s->B; b++) limits[b] = LONGEST;
    float *margins = block(4 * (int64_t)s->B), *work = block(4 * engine_greedy_floats(all->model, s->B, s->S));
    void *scratch = block(engine_scratch_bytes(all->model, s->B, s->S, 0));
    DEMAND(!engine_greedy(all->model, all->tables, s->B, s->S, s->tokens, s->lengths, limits, LONGEST, 0, 0, t->written, t->logs, 0,
                          t->steps, margins, work, scratch));
    free(limits), free(margins), free(work), free(scratch);
    return 0;
}
static void run_case(const uint8_t *data, size_t size, uint64_t seed) {
    struct draws d = {data, size, 0, seed * 0x9e3779b97f4a7c15u + 1};
    int64_t bytes;
    struct shared all = {make_model(&d, &bytes), 0, {0, 0, 0, 0, 0}};
    do {
        free(all.s.tokens), free(all.s.lengths);
        all.s = sentences(&d, all.model);
    } while (!all.s.fit);
    struct thread threads[THREADS + 1]; /* the last one works alone, before the others and without tables */
    pthread_t ids[THREADS];
    for (int i = THREADS; i >= 0; i--) {
        const int64_t n = 4 * (int64_t)all.s.B;
        threads[i] = (struct thread){&all, block(n * LONGEST), block(n), block(n * LONGEST)};
        if (i == THREADS) search_alone(&threads[i]);
    }
    all.tables = block(engine_table_bytes(all.model));
    memset(all.tables, 0, (size_t)engine_table_bytes(all.model));
    for (int i = 0; i < THREADS; i++) DEMAND(!pthread_create(ids + i, 0, search_alone, threads + i));
    for (int i = 0; i < THREADS; i++) DEMAND(!pthread_join(ids[i], 0));
    calls += THREADS + 1;
    for (int i = 0; i <= THREADS; i++) {
        const struct thread *t = threads + i, *alone = threads + THREADS;
        for (int b = 0; b < all.s.B; b++) {
            const int64_t at = (int64_t)b * LONGEST;
            DEMAND(t->steps[b] == alone->steps[b] && same(t->logs + at, alone->logs + at, t->steps[b]));
            DEMAND(!memcmp(t->written + at, alone->written + at, 4 * (size_t)t->steps[b]));
        }
    }
    for (int i = 0; i <= THREADS; i++) free(threads[i].written), free(threads[i].steps), free(threads[i].logs);
    free(all.s.tokens), free(all.s.lengths), free(all.tables), free((void *)all.model);
}
#else
static void run_case(const uint8_t *data, size_t size, uint64_t seed) {
    struct draws d = {data, size, 0, seed * 0x9e3779b97f4a7c15u + 1};
    int64_t bytes;
    struct engine_model *model = make_model(&d, &bytes);
    const int damage = one_in(&d, 3);
    calls++;
    DEMAND(engine_check(model, bytes) == 0 && engine_check(model, bytes - 64) != 0 && engine_check(model, 0) != 0);
    for (int i = damage ? between(&d, 1, 3) : 0; i > 0; i--) {
        uint8_t *at = (uint8_t *)model + below(&d, (int)sizeof *model);
        *at = one_in(&d, 2) ? *at ^ (uint8_t)(1 << below(&d, 8)) : (uint8_t)word(&d);
    }
    if (damage && engine_check(model, bytes) != 0) {
        free(model);
        return;
    }
    damaged_and_taken += (uint64_t)damage;
    void *tables = 0;
    if (one_in(&d, 2)) {
        const int64_t size_of_tables = engine_table_bytes(model);
        tables = block(size_of_tables);
        memset(tables, 0, (size_t)size_of_tables);
    }
    for (int round = between(&d, 1, 3); round > 0; round--) {
        struct sentences s = sentences(&d, model);
        search(&d, model, tables, &s);
        if (one_in(&d, 2)) greedy(&d, model, tables, &s);
        if (one_in(&d, 2)) score(&d, model, tables, &s);
        if (one_in(&d, 3)) beams(&d, model, tables, &s);
        free(s.tokens), free(s.lengths);
    }
    free(tables);
    free(model);
}
#endif

#ifdef FUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run_case(data, size, size);
    return 0;
}
#else
int main(int count, char **words) {
    const uint64_t cases = count > 1 ? strtoull(words[1], 0, 10) : 1000, first = count > 2 ? strtoull(words[2], 0, 10) : 1;
    for (uint64_t i = 0; i < cases; i++) {
        if (getenv("SHOW_SEEDS")) fprintf(stderr, "seed %llu\n", (unsigned long long)(first + i));
        run_case(0, 0, first + i);
    }
    printf("{\"cases\": %llu, \"calls\": %llu, \"refused\": %llu, \"damaged_and_taken\": %llu, \"hash\": \"%016llx\"}\n",
           (unsigned long long)cases, (unsigned long long)calls, (unsigned long long)refused, (unsigned long long)damaged_and_taken,
           (unsigned long long)hash);
    return 0;
}
#endif
