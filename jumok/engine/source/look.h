/* The insides of one step of one sentence, for the page's tour: what is otherwise forgotten at once. */
#ifndef JUMOK_LOOK_H
#define JUMOK_LOOK_H
#include "decoder.h"

/* As engine_look says; work holds a source and a beam. */
static void look(const struct engine_model *m, void *tables, int S, const int32_t *tokens, const float *beam, const float *weights,
                 float *memory, float *query, float *scores, float *features, float *work, struct work *w) {
    const int H = wide_hidden(m);
    const int32_t length = S, owner = 0;
    float *source = work, *own = work + source_floats(m, S);
    const struct batch b = {S, &owner, &length, source, tables, weights};
    start(m, tables, 1, S, tokens, &length, source, own, w);
    copy(memory, w->memory[(m->layers - 1) % 2], (int64_t)S * H);
    copy(own, beam, beam_floats(m, S));
    copy(query, own + beam_layer(m, m->layers - 1), H);
    if (m->attention != ENGINE_NO_ATTENTION) {
        queries(m, 1, query, H, w);
        score_positions(m, query, w->query, source, S, scores);
    }
    if (monotonic(m)) return;
    attend(m, &b, 1, own, 0, w);
    copy(features, w->features, wide_features(m));
}
#endif
