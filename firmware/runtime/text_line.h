/* Tells text commands, which end in '%', from frames on the same line.
 *
 * A frame never looks like text for longer than its first byte: the second is a command's number,
 * or a block's length. So bytes are held back while they are text, and handed on when they turn
 * out not to be. */
#ifndef AUTOMCU_TEXT_LINE_H
#define AUTOMCU_TEXT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define TEXT_LINE_MAX 80u /* EE_CMD_SIZE of the MLPerf Tiny interface */

typedef enum {
    TEXT_HELD,    /* the byte is kept: nothing to do yet */
    TEXT_COMMAND, /* `text` is a command, without the '%' */
    TEXT_NONE,    /* `length` bytes of `text`, possibly none, and then this byte are a frame's */
} TextEvent;

typedef struct {
    char text[TEXT_LINE_MAX + 1u];
    uint32_t length;
    bool in_frame;
} TextLine;

void text_line_start(TextLine *line);

/* Takes one byte. After TEXT_COMMAND and TEXT_NONE the caller must call text_line_clear(). */
TextEvent text_line_receive(TextLine *line, uint8_t byte);

void text_line_clear(TextLine *line);

#endif
