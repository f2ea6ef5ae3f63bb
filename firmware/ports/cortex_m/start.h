#ifndef AUTOMCU_START_H
#define AUTOMCU_START_H

/* The first call after reset, before .data and .bss hold anything: starts the ROM boot loader if
 * the firmware asked for it before the reset, else returns. Each family of chips has its own. */
void start_boot_loader_if_asked(void);

#endif
