#ifndef AUTOMCU_UARTE_H
#define AUTOMCU_UARTE_H

/* Connects the pins and opens the receiver; `port_read` and `port_write` use it. */
void uarte_start(void);

#endif
