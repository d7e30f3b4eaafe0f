/* The engine: all its parts, compiled as one file, once for each instruction set. See engine.h. */
#include "engine.h"

int32_t ENGINE(abi)(void) { return ENGINE_ABI; }
int32_t ENGINE(model_bytes)(void) { return (int32_t)sizeof(struct engine_model); }
int32_t ENGINE(check)(const struct engine_model *model, int64_t bytes) { return bytes < (int64_t)sizeof *model || model->magic != ENGINE_MAGIC; }
int64_t ENGINE(table_bytes)(const struct engine_model *model) { (void)model; return 0; }
