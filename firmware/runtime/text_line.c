#include "text_line.h"

#include "cobs.h"

#define COMMAND_END ((uint8_t)'%')
#define FIRST_PRINTABLE ((uint8_t)' ')
#define LAST_PRINTABLE ((uint8_t)'~')

void text_line_start(TextLine *line) {
    line->in_frame = false;
    text_line_clear(line);
}

void text_line_clear(TextLine *line) {
    line->length = 0;
}

static bool is_text(uint8_t byte) {
    return (byte >= FIRST_PRINTABLE && byte <= LAST_PRINTABLE) || byte == '\r' || byte == '\n';
}

TextEvent text_line_receive(TextLine *line, uint8_t byte) {
    if (!line->in_frame && byte == COMMAND_END) {
        line->text[line->length] = '\0';
        return TEXT_COMMAND;
    }
    if (!line->in_frame && is_text(byte) && line->length < TEXT_LINE_MAX) {
        line->text[line->length] = (char)byte;
        line->length += 1;
        return TEXT_HELD;
    }
    line->in_frame = byte != COBS_FRAME_END;
    return TEXT_NONE;
}
