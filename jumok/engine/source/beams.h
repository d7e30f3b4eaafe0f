/* Beam search as jumok/decode/search.py has it, ranked by log-probability / divisor: the same outputs, without its calls.

K rows of a sentence stand side by side; a row is a hypothesis that goes on. */
#ifndef JUMOK_BEAMS_H
#define JUMOK_BEAMS_H
#include "chain.h"

/* A hypothesis that has ended or was cut: its last token, and the row that this grew from. */
struct tip {
    double score, total;
    float log_probability;
    int32_t length, parent, token;
};
/* A continuation of a row; of rows that were chosen, what led to them. */
struct grown {
    double total;
    float log_probability;
    int32_t parent, token;
};
/* What a search keeps, all of which `plan_beams` places. */
struct beams {
    float *sources, *before, *after; /* [B], [B K] twice */
    double *totals;                  /* [B K] */
    int32_t *rows, *first, *origin;  /* [B] of each sentence that is still searched: how many, from where, and before the step */
    int32_t *sentences;              /* [B] which these are */
    struct grown *found;             /* [2 K] the best continuations of one sentence */
    struct grown *trail;             /* [B, L, K] */
    float *looked;                   /* [B, L, K, S] the weights of the rows before each step */
    struct tip *tips;                /* [B, nbest], the best first */
    int32_t *kept, *ended;           /* [B] tips that are kept, and all there were */
};

static int64_t plan_beams(struct beams *k, const struct engine_model *m, int64_t B, int S, int64_t L, int64_t K, char *base) {
    int64_t used = 0;
    const int64_t beam = beam_floats(m, S);
#define PLACE(field, count) k->field = (void *)place(base, &used, (count) * (int64_t)sizeof *k->field)
    PLACE(sources, B * source_floats(m, S));
    PLACE(before, B * K * beam);
    PLACE(after, B * K * beam);
    PLACE(totals, B * K);
    PLACE(rows, B);
    PLACE(first, B);
    PLACE(origin, B);
    PLACE(sentences, B);
    PLACE(found, 2 * K);
    PLACE(trail, B * L * K);
    PLACE(looked, m->attention == ENGINE_NO_ATTENTION ? 0 : B * L * K * S);
    PLACE(tips, B * K);
    PLACE(kept, B);
    PLACE(ended, B);
#undef PLACE
    return used;
}

/* margin becomes this, if it is less. Where numbers are none, order is none, and less than nothing is nothing. */
INLINE void lower(float *margin, double to) {
    if (to < (double)*margin) *margin = to > 0 ? (float)to : 0;
}
INLINE double apart(double a, double b) { return a > b ? a - b : b - a; }

/* Puts a tip behind all that are as good, if it is among the best `nbest`. */
static void keep_tip(struct tip *tips, int32_t *kept, int nbest, struct tip tip, double divisor, float *margin) {
    for (int k = 0; k < *kept; k++) lower(margin, apart(tips[k].score, tip.score) * divisor);
    int i = *kept < nbest ? (*kept)++ : nbest;
    for (; i > 0 && tips[i - 1].score < tip.score; i--)
        if (i < nbest) tips[i] = tips[i - 1];
    if (i < nbest) tips[i] = tip;
}

INLINE int is_never(int32_t token, const int32_t *never, int count) {
    for (int k = 0; k < count; k++)
        if (never[k] == token) return 1;
    return 0;
}

/* Adds the continuations of one row to the best `number`: logits [V], `less` of which makes log-probabilities. Among equals the
   first row, and in it the lowest token, comes first. */
static int continue_row(const float *logits, float less, double total, int parent, int V, const int32_t *never, int count,
                        struct grown *found, int have, int number) {
    for (int v = 0; v < V; v += 4 * LANES) {
        const int end = V - v < 4 * LANES ? V : v + 4 * LANES;
        if (have == number && !((double)(highest_of(logits + v, end - v) - less) + total > found[have - 1].total)) continue;
        for (int i = v; i < end; i++) {
            const float log_probability = logits[i] - less;
            const double value = (double)log_probability + total;
            if ((have == number && !(value > found[have - 1].total)) || is_never(i, never, count)) continue;
            int at_place = have < number ? have++ : number - 1;
            for (; at_place > 0 && found[at_place - 1].total < value; at_place--) found[at_place] = found[at_place - 1];
            found[at_place] = (struct grown){value, log_probability, parent, i};
        }
    }
    return have;
}

/* Writes the hypothesis of a tip: tokens [length], log-probabilities, and weights [length, S] unless NULL. */
static void follow(const struct grown *trail, const float *looked, int K, int S, struct tip tip, int32_t *written,
                   float *log_probabilities, float *weights) {
    int32_t token = tip.token, parent = tip.parent;
    float log_probability = tip.log_probability;
    for (int t = tip.length - 1; t >= 0; t--) {
        written[t] = token;
        log_probabilities[t] = log_probability;
        if (weights) copy(weights + (int64_t)t * S, looked + ((int64_t)t * K + parent) * S, S);
        if (t == 0) break;
        const struct grown *from = trail + (int64_t)(t - 1) * K + parent;
        token = from->token;
        log_probability = from->log_probability;
        parent = from->parent;
    }
}
#endif
