/* The chunked coding (RFC 9112 §7.1), read to the letter: no blanks around the size, CR and LF where they belong. */
#include "net/request_priv.h"

enum {
    SIZE_DIGITS_MAX = 15,    /* < 2^60: sums cannot wrap */
    OVERHEAD_MAX = 8 * 1024, /* extensions and trailers of one body together */
};

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *size_byte(struct chunk_decoder *d, uint8_t c) {
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (d->digits == SIZE_DIGITS_MAX) return "a chunk size with too many digits";
        d->left = d->left << 4 | (uint64_t)digit;
        d->digits++;
        return NULL;
    }
    if (d->digits == 0 || (c != '\r' && c != ';')) return "a chunk size that is no hexadecimal number";
    d->state = c == '\r' ? CHUNK_SIZE_END : CHUNK_EXTENSION;
    return NULL;
}

/* In extensions and trailers, which are read over: a CR goes on to `then`. */
static const char *overhead_byte(struct chunk_decoder *d, uint8_t c, enum chunk_state then) {
    if (++d->overhead > OVERHEAD_MAX) return "more than 8 KiB of chunk extensions and trailers";
    if (c == '\r')
        d->state = (uint8_t)then;
    else if ((c < ' ' && c != '\t') || c == 0x7f)
        return "a control character in a chunk extension or trailer";
    return NULL;
}

static const char *line_feed(struct chunk_decoder *d, uint8_t c, enum chunk_state then) {
    if (c != '\n') return "a line of the chunked coding does not end in CR LF";
    d->state = (uint8_t)then;
    return NULL;
}

/* One byte that is not data. */
static const char *control_byte(struct chunk_decoder *d, uint8_t c) {
    switch ((enum chunk_state)d->state) {
    case CHUNK_SIZE: return size_byte(d, c);
    case CHUNK_EXTENSION: return overhead_byte(d, c, CHUNK_SIZE_END);
    case CHUNK_SIZE_END: return line_feed(d, c, d->left ? CHUNK_DATA : CHUNK_TRAILER);
    case CHUNK_DATA_CR: d->state = CHUNK_DATA_LF; return c == '\r' ? NULL : "a chunk is longer than its size";
    case CHUNK_DATA_LF: d->digits = 0; return line_feed(d, c, CHUNK_SIZE);
    case CHUNK_TRAILER:
        if (c == ' ' || c == '\t') return "a folded trailer line";
        d->state = CHUNK_TRAILER_LINE;
        return overhead_byte(d, c, CHUNK_LAST_LF);
    case CHUNK_TRAILER_LINE: return overhead_byte(d, c, CHUNK_TRAILER_LF);
    case CHUNK_TRAILER_LF: return line_feed(d, c, CHUNK_TRAILER);
    case CHUNK_LAST_LF: return line_feed(d, c, CHUNK_DONE);
    case CHUNK_DATA:
    case CHUNK_DONE: break;
    }
    return "the chunked coding is broken";
}

bool chunk_is_done(const struct chunk_decoder *d) { return d->state == CHUNK_DONE; }

int chunk_decode(struct chunk_decoder *d, char *bytes, size_t n, size_t *out_data, size_t *out_used,
                 const char **out_reason) {
    size_t data = 0, i = 0;
    while (i < n && d->state != CHUNK_DONE) {
        if (d->state == CHUNK_DATA) {
            size_t piece = (size_t)MIN(d->left, (uint64_t)(n - i));
            memmove(bytes + data, bytes + i, piece);
            data += piece;
            i += piece;
            d->left -= piece;
            if (d->left == 0) d->state = CHUNK_DATA_CR;
        } else if ((*out_reason = control_byte(d, (uint8_t)bytes[i++])) != NULL) {
            return 400;
        }
    }
    *out_data = data;
    *out_used = i;
    return 0;
}
