/* The engine: all its parts, compiled as one file, once for each instruction set. See engine.h. */
#include "engine.h"
#include "beams.h"
#include "chain.h"
#include "check.h"
#include "decoder.h"
#include "look.h"
#include "pack.h"

int32_t ENGINE(abi)(void) { return ENGINE_ABI; }
int32_t ENGINE(model_bytes)(void) { return (int32_t)sizeof(struct engine_model); }
int32_t ENGINE(check)(const struct engine_model *model, int64_t bytes) { return wrong(model, bytes); }
void ENGINE(pack)(struct engine_model *model, const struct engine_matrix *matrix, int32_t first, int32_t rows, int32_t columns,
                  const float *weights, int64_t stride) {
    pack(model, matrix, first, rows, columns, weights, stride);
}
int64_t ENGINE(table_bytes)(const struct engine_model *model) {
    return 4 * table_floats(model) + side_rows(model) + model->target_size;
}
int64_t ENGINE(source_floats)(const struct engine_model *model, int32_t S) { return source_floats(model, S); }
int64_t ENGINE(beam_floats)(const struct engine_model *model, int32_t S) { return beam_floats(model, S); }
int64_t ENGINE(scratch_bytes)(const struct engine_model *model, int32_t rows, int32_t S, int32_t T) {
    struct work w;
    return plan(&w, model, rows, S, T, 0);
}
int64_t ENGINE(greedy_floats)(const struct engine_model *model, int32_t B, int32_t S) {
    return B * (source_floats(model, S) + 2 * beam_floats(model, S));
}

int32_t ENGINE(start)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                      const int32_t *lengths, float *sources, float *beams, void *scratch) {
    struct work w;
    if (!sentences_fit(B, S, tokens, lengths, model->source_size)) return -1;
    plan(&w, model, B, S, 0, scratch);
    start(model, tables, B, S, tokens, lengths, sources, beams, &w);
    return 0;
}

/* Logits, not yet normalised, or with a chain log-probabilities. */
static void step(const struct engine_model *m, const struct batch *b, int N, const int32_t *tokens, const float *before,
                 float *after, float *logits, float *weights, const int32_t *also, float **traces, struct work *w) {
    decode(m, b, N, tokens, before, after, w);
    if (monotonic(m)) {
        chain_step(m, b, N, tokens, before, after, logits, weights, traces, w);
    } else {
        attend(m, b, N, after, weights, w);
        output(m, &m->output, w->features, wide_features(m), N, logits, m->target_size, at(m, m->output_bias), also, w->q);
    }
}

static int32_t normal_step(const struct engine_model *m, const struct batch *b, int N, const int32_t *tokens, const float *before,
                           float *after, float *log_probabilities, float *weights, void *scratch) {
    const int V = m->target_size;
    struct work w;
    if (!ids_fit(tokens, N, V)) return -1;
    plan(&w, m, N, b->S, 0, scratch);
    step(m, b, N, tokens, before, after, log_probabilities, weights, 0, 0, &w);
    for (int i = 0; i < N && !monotonic(m); i++) {
        float *row = log_probabilities + (int64_t)i * V, less = normaliser(row, V);
        for (int v = 0; v < V; v++) row[v] -= less;
    }
    return 0;
}

int32_t ENGINE(step)(const struct engine_model *model, void *tables, int32_t N, int32_t S, const int32_t *tokens,
                     const int32_t *owners, const int32_t *lengths, const float *sources, const float *before, float *after,
                     float *log_probabilities, float *weights, void *scratch) {
    return normal_step(model, &(struct batch){S, owners, lengths, sources, tables, 0}, N, tokens, before, after, log_probabilities,
                       weights, scratch);
}

int32_t ENGINE(step_given)(const struct engine_model *model, void *tables, int32_t N, int32_t S, const int32_t *tokens,
                           const int32_t *owners, const int32_t *lengths, const float *sources, const float *before, float *after,
                           float *log_probabilities, const float *weights, void *scratch) {
    return normal_step(model, &(struct batch){S, owners, lengths, sources, tables, weights}, N, tokens, before, after,
                       log_probabilities, 0, scratch);
}

int32_t ENGINE(look)(const struct engine_model *model, void *tables, int32_t S, const int32_t *tokens, const float *beam,
                     const float *weights, float *memory, float *query, float *scores, float *features, float *work,
                     void *scratch) {
    struct work w;
    if (!sentences_fit(1, S, tokens, &S, model->source_size)) return -1;
    plan(&w, model, 1, S, 0, scratch);
    look(model, tables, S, tokens, beam, weights, memory, query, scores, features, work, &w);
    return 0;
}

void ENGINE(select)(const struct engine_model *model, int32_t S, int32_t N, const int32_t *parents, const float *before,
                    float *after) {
    const int64_t beam = beam_floats(model, S);
    for (int i = 0; i < N; i++) copy(after + i * beam, before + parents[i] * beam, beam);
}

/* The likeliest token of logits - less, the lowest id among equals; those of `never` are not taken, and lose their logit. */
static int32_t likeliest(float *logits, float less, int V, const int32_t *never, int count) {
    for (int k = 0; k < count; k++) logits[never[k]] = LOWEST;
    const float best = highest_of(logits, V) - less;
    for (int v = 0; v < V; v += 4 * LANES) {
        const int end = V - v < 4 * LANES ? V : v + 4 * LANES;
        if (highest_of(logits + v, end - v) - less < best) continue;
        for (int i = v; i < end; i++)
            if (logits[i] - less == best) return i;
    }
    return 2; /* nothing is a number: the end */
}

/* The rows to keep move together; returns how many. */
static int remaining(int N, int64_t beam, float *beams, struct work *w) {
    int n = 0;
    for (int i = 0; i < N; i++) {
        if (!w->keep[i]) continue;
        if (n < i) {
            copy(beams + n * beam, beams + i * beam, beam);
            w->owners[n] = w->owners[i];
            w->next[n] = w->next[i];
        }
        n++;
    }
    return n;
}

int32_t ENGINE(greedy)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                       const int32_t *lengths, const int32_t *limits, int32_t L, const int32_t *never, int32_t count,
                       int32_t *written, float *log_probabilities, float *weights, int32_t *steps, float *margins, float *work,
                       void *scratch) {
    const int V = model->target_size, looks = weights && model->attention != ENGINE_NO_ATTENTION;
    const int64_t beam = beam_floats(model, S);
    float *sources = work, *before = sources + B * source_floats(model, S), *after = before + B * beam;
    struct work w;
    if (!sentences_fit(B, S, tokens, lengths, model->source_size) || !ids_fit(never, count, V)) return -1;
    for (int b = 0; b < B; b++)
        if (limits[b] < 1 || limits[b] > L) return -1;
    plan(&w, model, B, S, 0, scratch);
    start(model, tables, B, S, tokens, lengths, sources, before, &w);
    struct batch batch = {S, w.owners, lengths, sources, tables, 0};
    for (int b = 0; b < B; b++) {
        w.owners[b] = b;
        w.next[b] = ENGINE_START;
        margins[b] = -LOWEST;
    }
    for (int t = 0, N = B; N; t++) {
        step(model, &batch, N, w.next, before, after, w.logits, w.looked, 0, 0, &w);
        for (int i = 0; i < N; i++) {
            const int b = w.owners[i];
            const int64_t here = (int64_t)b * L + t;
            float *logits = w.logits + (int64_t)i * V, less = monotonic(model) ? 0 : normaliser(logits, V);
            int32_t token = likeliest(logits, less, V, never, count);
            written[here] = w.next[i] = token;
            log_probabilities[here] = logits[token] - less;
            logits[token] = LOWEST;
            lower(margins + b, log_probabilities[here] - (highest_of(logits, V) - less));
            if (looks) copy(weights + here * S, w.looked + (int64_t)i * S, S);
            w.keep[i] = token != ENGINE_END && t + 1 < limits[b];
            if (!w.keep[i]) steps[b] = t + 1;
        }
        N = remaining(N, beam, after, &w);
        float *fresh = after;
        after = before;
        before = fresh;
    }
    return 0;
}

int64_t ENGINE(beam_bytes)(const struct engine_model *model, int32_t B, int32_t S, int32_t L, int32_t beam) {
    struct beams k;
    return plan_beams(&k, model, B, S, L, beam, 0);
}

/* One sentence after a step: its best continuations -> tips, and the rows that go on, in the trail; returns how many do. */
static int grow(struct beams *k, int b, int length, int beam, int nbest, int limit,
                const double *divisors, struct grown *trail, int have, float *margin) {
    struct tip *tips = k->tips + (int64_t)b * beam;
    int on = 0;
    for (int r = 0; r < have; r++) {
        const struct grown *g = k->found + r;
        if (g->token != ENGINE_END) {
            if (on == beam) {
                lower(margin, trail[on - 1].total - g->total);
                break;
            }
            trail[on++] = *g;
        } else if (r < beam) {
            k->ended[b]++;
            if (beam < have) lower(margin, g->total - k->found[beam].total);
            keep_tip(tips, k->kept + b, nbest,
                     (struct tip){g->total / divisors[length], g->total, g->log_probability, length, g->parent, g->token},
                     divisors[length], margin);
        } else {
            lower(margin, k->found[beam - 1].total - g->total);
        }
    }
    if (on == 0) return 0;
    const double top = trail[0].total;
    if (k->kept[b] == nbest) {
        const double floor = tips[nbest - 1].score;
        if (k->ended[b] >= beam) lower(margin, apart(floor * divisors[length], top));
        if (k->ended[b] >= beam && floor >= top / divisors[length]) return 0;
        if (floor >= top / divisors[limit]) return 0;
    }
    if (length < limit) return on;
    struct tip cut[ENGINE_BEAM]; /* those that were cut come behind those that have ended */
    int32_t count = 0;
    for (int i = 0; i < on; i++)
        keep_tip(cut, &count, nbest,
                 (struct tip){trail[i].total / divisors[length], trail[i].total, trail[i].log_probability, length,
                              trail[i].parent, trail[i].token},
                 divisors[length], margin);
    for (int i = 0; i < count && k->kept[b] < nbest; i++) tips[k->kept[b]++] = cut[i];
    return 0;
}

int32_t ENGINE(beam)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                     const int32_t *lengths, const int32_t *limits, int32_t L, const int32_t *never, int32_t count, int32_t beam,
                     int32_t nbest, const double *divisors, int32_t *written, float *log_probabilities, float *weights,
                     int32_t *steps, double *totals, double *scores, float *margins, void *work, void *scratch) {
    const int V = model->target_size, looks = model->attention != ENGINE_NO_ATTENTION;
    const int64_t size = beam_floats(model, S);
    struct beams k;
    struct work w;
    if (!sentences_fit(B, S, tokens, lengths, model->source_size) || !ids_fit(never, count, V) || !lengths_fit(limits, B, L) ||
        !between(1, beam, ENGINE_BEAM) || !between(1, nbest, beam))
        return -1;
    plan_beams(&k, model, B, S, L, beam, work);
    plan(&w, model, (int64_t)B * beam, S, 0, scratch);
    start(model, tables, B, S, tokens, lengths, k.sources, k.before, &w);
    struct batch batch = {S, w.owners, lengths, k.sources, tables, 0};
    for (int b = 0; b < B; b++) {
        k.sentences[b] = w.owners[b] = k.first[b] = b;
        k.rows[b] = 1;
        k.kept[b] = k.ended[b] = 0;
        k.totals[b] = 0;
        margins[b] = -LOWEST;
        w.next[b] = ENGINE_START;
    }
    for (int t = 0, alive = B, N = B; alive; t++) {
        step(model, &batch, N, w.next, k.before, k.after, w.logits, w.looked, 0, 0, &w);
        int still = 0;
        for (int a = 0; a < alive; a++) {
            const int b = k.sentences[a], first = k.first[a], K = k.rows[a];
            struct grown *trail = k.trail + ((int64_t)b * L + t) * beam;
            int have = 0;
            for (int r = 0; r < K; r++) {
                const float *logits = w.logits + (int64_t)(first + r) * V;
                const float less = monotonic(model) ? 0 : normaliser(logits, V);
                have = continue_row(logits, less, k.totals[first + r], r, V, never, count, k.found, have, 2 * beam);
            }
            if (looks) copy(k.looked + ((int64_t)b * L + t) * beam * S, w.looked + (int64_t)first * S, (int64_t)K * S);
            const int on = grow(&k, b, t + 1, beam, nbest, limits[b], divisors, trail, have, margins + b);
            if (!on) continue;
            k.sentences[still] = b;
            k.origin[still] = first;
            k.rows[still++] = on;
        }
        N = 0;
        for (int a = 0; a < still; a++) {
            const int b = k.sentences[a];
            const struct grown *trail = k.trail + ((int64_t)b * L + t) * beam;
            k.first[a] = N;
            for (int r = 0; r < k.rows[a]; r++, N++) {
                copy(k.before + N * size, k.after + (int64_t)(k.origin[a] + trail[r].parent) * size, size);
                k.totals[N] = trail[r].total;
                w.next[N] = trail[r].token;
                w.owners[N] = b;
            }
        }
        alive = still;
    }
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < nbest; i++) {
            const int64_t n = (int64_t)b * nbest + i;
            steps[n] = 0;
            if (i >= k.kept[b]) continue;
            const struct tip tip = k.tips[(int64_t)b * beam + i];
            steps[n] = tip.length;
            totals[n] = tip.total;
            scores[n] = tip.score;
            follow(k.trail + (int64_t)b * L * beam, k.looked + (int64_t)b * L * beam * S, beam, S, tip, written + n * L,
                   log_probabilities + n * L, looks && weights ? weights + n * L * S : 0);
        }
    }
    return 0;
}

int32_t ENGINE(score)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                      const int32_t *lengths, int32_t T, const int32_t *targets, const int32_t *target_lengths,
                      float *log_probabilities, float *weights, float *work, void *scratch) {
    const int V = model->target_size, looks = weights && model->attention != ENGINE_NO_ATTENTION;
    const int64_t beam = beam_floats(model, S), source = source_floats(model, S);
    float *sources = work, *before = sources + B * source, *after = before + B * beam;
    struct work w;
    if (!sentences_fit(B, S, tokens, lengths, model->source_size) || T < 1 || !lengths_fit(target_lengths, B, T) ||
        !ids_fit(targets, (int64_t)B * T, V))
        return -1;
    plan(&w, model, B, S, T, scratch);
    start(model, tables, B, S, tokens, lengths, sources, before, &w);
    struct batch batch = {S, w.owners, lengths, sources, tables, 0};
    clear(log_probabilities, (int64_t)B * T);
    if (looks) clear(weights, (int64_t)B * T * S);
    for (int b = 0; b < B; b++) {
        w.owners[b] = b;
        w.next[b] = ENGINE_START;
    }
    for (int t = 0, N = B; N; t++) {
        for (int i = 0; i < N; i++) {
            w.also[i] = targets[(int64_t)w.owners[i] * T + t];
            w.traces[i] = w.trace + ((int64_t)w.owners[i] * T + t) * TRACED(S);
        }
        step(model, &batch, N, w.next, before, after, w.logits, w.looked, w.also, w.traces, &w);
        for (int i = 0; i < N; i++) {
            const int b = w.owners[i];
            const int64_t here = (int64_t)b * T + t;
            if (monotonic(model)) {
                log_probabilities[here] = trace_token(model, S, after + i * beam, sources + b * source, lengths[b], w.also[i],
                                                      w.traces[i], &w);
            } else {
                const float *logits = w.logits + (int64_t)i * V;
                log_probabilities[here] = logits[w.also[i]] - normaliser(logits, V);
                if (looks) copy(weights + here * S, w.looked + (int64_t)i * S, S);
            }
            w.next[i] = w.also[i];
            w.keep[i] = t + 1 < target_lengths[b];
        }
        N = remaining(N, beam, after, &w);
        float *fresh = after;
        after = before;
        before = fresh;
    }
    for (int b = 0; b < B && looks && monotonic(model); b++)
        trace_back(S, target_lengths[b], lengths[b], w.trace + (int64_t)b * T * TRACED(S), weights + (int64_t)b * T * S, &w);
    return 0;
}
