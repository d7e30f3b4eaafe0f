/* The compiled engine's interface: the model as one block of memory, and the functions that read, step, search and score with it.

Memory: the engine allocates nothing, needs no libc, and keeps no state of its own. The caller gives
- a model: one block, 64-byte aligned, `struct engine_model` first and its arrays behind; never written to. The same bytes serve
  every platform (little endian, 32 or 64 bits), wasm too;
- tables: engine_table_bytes, zeroed once, shared by all threads that use the model; or NULL. Rows W_ih E(v) + b are kept there
  when first met. Only time depends on it;
- the state of a search: for each sentence a "source" of engine_source_floats, for each hypothesis a "beam" of
  engine_beam_floats. A beam can be copied with memcpy;
- scratch: engine_scratch_bytes, 64-byte aligned, for the time of the call.
Any number of threads may call at once, each with its own scratch and outputs.

Arithmetic: weights w = scale * (256 * high + low), int8 each, one scale a row; activations int16; exact int32 sums; float32 in a
fixed order, without FMA. The same bits on every instruction set, and for a sentence whatever is computed beside it.

Letters: B sentences, N rows (hypotheses), S source positions (the batch's longest), T target tokens, L longest limit, V target
vocabulary, H hidden, h of one direction, E embedding, A inner size of concat, R inner size of the readout, G gates of the cell.
A padded size is the next multiple of 16. Weights are not written by a model without attention. */
#ifndef JUMOK_ENGINE_H
#define JUMOK_ENGINE_H
#include <stdint.h>

#define ENGINE_MAGIC 0x4b4d554au /* "JUMK" */
#define ENGINE_ABI 1
#define ENGINE_LAYERS 8   /* the most layers */
#define ENGINE_COLUMNS 8192 /* the most columns of a matrix: beyond, too few bits are left for activations */
#define ENGINE_JUMPS 5
#define ENGINE_BEAM 64    /* the most beams */

/* One source can be compiled for several instruction sets and linked into one library: -DENGINE_SUFFIX=_x86_4 */
#define ENGINE_JOIN_(a, b) engine_##a##b
#define ENGINE_JOIN(a, b) ENGINE_JOIN_(a, b)
#ifdef ENGINE_SUFFIX
#define ENGINE(name) ENGINE_JOIN(name, ENGINE_SUFFIX)
#else
#define ENGINE(name) engine_##name
#endif
#ifndef ENGINE_EXPORT
#if defined(_WIN32)
#define ENGINE_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define ENGINE_EXPORT __attribute__((visibility("default"), used))
#else
#define ENGINE_EXPORT
#endif
#endif

enum { ENGINE_PAD = 0, ENGINE_START = 1, ENGINE_END = 2 };
enum { ENGINE_LSTM = 0, ENGINE_GRU = 1 };
enum { ENGINE_NO_ATTENTION = 0, ENGINE_DOT = 1, ENGINE_GENERAL = 2, ENGINE_CONCAT = 3 };
enum { ENGINE_SOFT = 0, ENGINE_MONOTONIC = 1 };
enum { ENGINE_TANH = 0, ENGINE_LINEAR = 1 };
enum { ENGINE_GROUPS = 0, ENGINE_ROWS = 1, ENGINE_FLOATS = 2 };

typedef uint32_t engine_offset; /* from the start of the model, in units of 64 bytes; 0: there is no such array */

/* An int8 plane stands in groups of 16 rows: [rows / 16][columns / 2][16][2]. The low plane of an output layer that is screened
   stands row by row instead (`order`). With order ENGINE_FLOATS, `high` is float32 in groups of 16 rows, [rows / 16][columns][16],
   and all else is 0. wasm knows only ENGINE_GROUPS. rows and columns are padded; pads are 0. */
struct engine_matrix {
    int32_t rows, columns;
    engine_offset high;  /* int8; float32 with order ENGINE_FLOATS */
    engine_offset low;   /* int8; 0: one plane */
    engine_offset scale; /* float32 [rows] */
    engine_offset bound; /* float32 [rows]: scale * |low|, rounded up; only with order ENGINE_ROWS */
    int32_t order;       /* of the low plane, or ENGINE_FLOATS */
    int32_t unused;
};

/* Gates i, f, g, o of an LSTM; r, z, n of a GRU: G blocks of padded h (decoder: padded H) rows, as in the model folder. */
struct engine_layer {
    struct engine_matrix input, recurrent;
    engine_offset bias; /* float32 [rows] */
    uint32_t unused;
};

struct engine_model {
    uint32_t magic, abi;
    uint32_t blocks; /* size of the whole in units of 64 bytes */
    int32_t cell, layers, directions, reversed, attention, alignment, copying, feeding, readout;
    int32_t hidden, half, embedding, inner, features, source_size, target_size; /* H, h, E, A, what the output layer reads, … */
    int32_t unused;
    struct engine_matrix source_embedding, target_embedding; /* [V, E]; tied ones share their arrays */
    struct engine_layer encoder[ENGINE_LAYERS][2], decoder[ENGINE_LAYERS];
    struct engine_matrix feed;                  /* [G H, R] */
    struct engine_matrix score_memory;          /* general: W_a [H, H]; concat: W_m [A, H] */
    struct engine_matrix score_query;           /* concat: W_q [A, H] */
    struct engine_matrix readout_query;         /* tanh: W_h [R, H] */
    struct engine_matrix readout_context;       /* tanh: W_c [R, H] */
    struct engine_matrix output;                /* [V, features]; linear and monotonic: the query's part, [V, H] */
    struct engine_matrix output_context;        /* linear and monotonic: the memory's part, [V, H] */
    engine_offset output_bias;                  /* float32 [padded V] */
    engine_offset score_vector;                 /* concat: v, float32 [padded A] */
    engine_offset jump_weights, jump_bias;      /* monotonic: float32 [ENGINE_JUMPS][padded H] and [16] */
    engine_offset copy_memory, copy_query, copy_bias; /* copying: float32 [padded H], [padded H], [16] */
    engine_offset copies;                       /* copying: int32 [source_size], target ids or -1 */
};

#ifdef __cplusplus
extern "C" {
#endif

/* ENGINE_ABI. */
ENGINE_EXPORT int32_t ENGINE(abi)(void);
/* sizeof(struct engine_model), for bindings. */
ENGINE_EXPORT int32_t ENGINE(model_bytes)(void);
/* 0 if a block of so many bytes holds a model that the functions below can take; else a number that says what is wrong. The
   functions below check nothing of the model again. */
ENGINE_EXPORT int32_t ENGINE(check)(const struct engine_model *model, int64_t bytes);

/* Rounds weights [rows, columns], finite, `stride` apart -> the rows from `first` on of a matrix of a model that is being made; its
   offsets and order are set, its arrays are 0. */
ENGINE_EXPORT void ENGINE(pack)(struct engine_model *model, const struct engine_matrix *matrix, int32_t first, int32_t rows,
                                int32_t columns, const float *weights, int64_t stride);

ENGINE_EXPORT int64_t ENGINE(table_bytes)(const struct engine_model *model);
/* Of one sentence, in a batch whose longest source has S positions. A multiple of 16. */
ENGINE_EXPORT int64_t ENGINE(source_floats)(const struct engine_model *model, int32_t S);
/* Of one hypothesis. A multiple of 16. */
ENGINE_EXPORT int64_t ENGINE(beam_floats)(const struct engine_model *model, int32_t S);
/* For any function below: rows = sentences or hypotheses in the call; T = 0 but for score (the longest target). */
ENGINE_EXPORT int64_t ENGINE(scratch_bytes)(const struct engine_model *model, int32_t rows, int32_t S, int32_t T);

/* Reads B sentences: tokens [B, S], lengths [B] (1 to S) -> sources [B], beams [B]. Token ids outside the vocabulary, and lengths
   outside 1 to S, are refused: returns 0, or -1 before anything is written. (The other functions likewise.) */
ENGINE_EXPORT int32_t ENGINE(start)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                                    const int32_t *lengths, float *sources, float *beams, void *scratch);

/* One token further for N rows: tokens [N]; owners [N], the sentence of each row; sources and lengths [B] as in start; beams
   before [N] -> after [N] (not the same memory), log_probabilities [N, V] (natural, normalised), weights [N, S] (0 on pads; may
   be NULL). With a monotonic alignment the weights are the prior of the position. Owners must be less than B. Where the output layer
   is screened, the best tokens have both planes, and others the high one. */
ENGINE_EXPORT int32_t ENGINE(step)(const struct engine_model *model, void *tables, int32_t N, int32_t S, const int32_t *tokens,
                                   const int32_t *owners, const int32_t *lengths, const float *sources, const float *before,
                                   float *after, float *log_probabilities, float *weights, void *scratch);

/* As step, with weights [N, S] (rows sum to 1, 0 on pads) in place of attention's, or of the chain's prior: what a reader asks for. */
ENGINE_EXPORT int32_t ENGINE(step_given)(const struct engine_model *model, void *tables, int32_t N, int32_t S,
                                         const int32_t *tokens, const int32_t *owners, const int32_t *lengths,
                                         const float *sources, const float *before, float *after, float *log_probabilities,
                                         const float *weights, void *scratch);

/* The insides of a step, for people who learn from them. tokens [S]: one sentence; beam: after the step; weights [S]: those that
   were given, or NULL -> memory [S, padded H], query [padded H], scores [S] with attention, and but for a chain what the output
   layer reads, [features], for linear [context; query], each padded. work: greedy_floats for one sentence; scratch: for one row. */
ENGINE_EXPORT int32_t ENGINE(look)(const struct engine_model *model, void *tables, int32_t S, const int32_t *tokens,
                                   const float *beam, const float *weights, float *memory, float *query, float *scores,
                                   float *features, float *work, void *scratch);

/* after[i] = before[parents[i]], for N rows. */
ENGINE_EXPORT void ENGINE(select)(const struct engine_model *model, int32_t S, int32_t N, const int32_t *parents,
                                  const float *before, float *after);

/* Greedy search for B sentences: limits [B], the most tokens of each, the end counted; never [count], tokens that are not written
   -> written [B, L] and their log-probabilities [B, L], weights [B, L, S] (or NULL), steps [B], margins [B]: by how much less likely
   the second best token was than the best, in log-probability, where that was least. work: greedy_floats floats, for sources and
   beams. The same bits as start and step. */
ENGINE_EXPORT int64_t ENGINE(greedy_floats)(const struct engine_model *model, int32_t B, int32_t S);
ENGINE_EXPORT int32_t ENGINE(greedy)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                                     const int32_t *lengths, const int32_t *limits, int32_t L, const int32_t *never,
                                     int32_t count, int32_t *written, float *log_probabilities, float *weights, int32_t *steps,
                                     float *margins, float *work, void *scratch);

/* Beam search for B sentences with `beam` rows each, ranked by log-probability / divisors[length], divisors [L + 1], rising; limits
   and never as for greedy -> of each sentence up to `nbest` (at most `beam`) hypotheses, those that end first, then by falling
   score: written [B, nbest, L], log_probabilities of their tokens [B, nbest, L], weights [B, nbest, L, S] (or NULL), steps
   [B, nbest] (0: there is none), totals and scores [B, nbest], margins [B]: by how much log-probability what was kept was ahead of
   what was not, and an output ahead of the next, where that was least. scratch: for B * beam rows; work: beam_bytes, 64-byte aligned. */
ENGINE_EXPORT int64_t ENGINE(beam_bytes)(const struct engine_model *model, int32_t B, int32_t S, int32_t L, int32_t beam);
ENGINE_EXPORT int32_t ENGINE(beam)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                                   const int32_t *lengths, const int32_t *limits, int32_t L, const int32_t *never, int32_t count,
                                   int32_t beam, int32_t nbest, const double *divisors, int32_t *written,
                                   float *log_probabilities, float *weights, int32_t *steps, double *totals, double *scores,
                                   float *margins, void *work, void *scratch);

/* Given targets [B, T], target_lengths [B] (1 to T) -> log-probabilities [B, T] and weights [B, T, S] (or NULL), 0 on pads. With a
   monotonic alignment the weights are posteriors given the whole target. work: greedy_floats. */
ENGINE_EXPORT int32_t ENGINE(score)(const struct engine_model *model, void *tables, int32_t B, int32_t S, const int32_t *tokens,
                                    const int32_t *lengths, int32_t T, const int32_t *targets, const int32_t *target_lengths,
                                    float *log_probabilities, float *weights, float *work, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
