#ifndef AUTOMCU_CACHES_H
#define AUTOMCU_CACHES_H

/* Invalidates and enables the instruction and data caches of a Cortex-M7. */
void caches_enable(void);

#endif
