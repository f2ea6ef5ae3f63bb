#ifndef MODEL_LAYERS_H
#define MODEL_LAYERS_H

#include <stdint.h>

void model_run_layer(uint32_t index);

#endif
