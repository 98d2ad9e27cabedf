/* Growing byte strings (libowfat's stralloc) with a limit, numbers, and small helpers. Used by all.
 * A zeroed stralloc is empty and valid; stralloc_free accepts one. Bytes are not C strings. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include "owfat.h"
#include "result.h"
#include <stdbool.h>
#include <stdint.h>

/* Appends. false: no memory; what was there is unchanged. */
bool text_append(stralloc *text, const void *bytes, size_t length);
bool text_append_string(stralloc *text, const char *string);	/* NUL-ended */
bool text_append_number(stralloc *text, uint64_t number);	/* decimal */
bool text_append_format(stralloc *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool text_append_nul(stralloc *text);		/* a NUL that text->len does not count */

/* The whole of BYTES must be digits that fit: "0" to UINT64_MAX, no sign, no blank. */
bool text_to_number(const void *bytes, size_t length, uint64_t *number);

/* ASCII only, independent of locale. */
void text_lower(char *bytes, size_t length);
bool text_equal_folded(const void *a, size_t a_length, const void *b, size_t b_length);
bool text_is_printable(const void *bytes, size_t length);	/* no byte below 0x20, no 0x7f */

/* The character of UTF-8 at AT (RFC 3629 4: no overlong forms, no surrogates, nothing over U+10FFFF): how many of the LEFT
 * bytes it has, its number in *CODE (may be NULL); 0: there is none. */
size_t text_utf8_length(const void *at, size_t left, uint32_t *code);
bool text_is_utf8(const void *bytes, size_t length);
/* How many bytes the character at AT has, if it may be shown on a terminal or in a log: UTF-8, no control character (C0, DEL,
 * C1), none that turns the direction or the line of what stands around it. Else 0. */
size_t text_shown_length(const void *at, size_t left);
bool text_is_shown(const void *bytes, size_t length);
/* Puts INSTEAD for each byte of what may not be shown. */
void text_clean(char *bytes, size_t length, char instead);

/* The next word of [*at, end), separated by blanks (space, tab). false: no more. */
bool text_next_word(const char **at, const char *end, const char **word, size_t *length);

/* Milliseconds of CLOCK_MONOTONIC (waits inside a process), microseconds since 1970 of
 * CLOCK_REALTIME (what is on disk). */
uint64_t time_monotonic_ms(void);
uint64_t time_real_us(void);

/* RFC 5322 3.3 date-time with the local zone, e.g. "Sat, 21 Nov 2026 22:30:00 +0000". OUT holds at
 * least TIME_RFC5322_MAX bytes and is NUL-ended; returns its length. */
enum { TIME_RFC5322_MAX = 40 };
size_t time_format_rfc5322(char *out, uint64_t real_us);

/* Fills from the kernel; stops the process if it can't (never happens after boot). */
void random_bytes(void *out, size_t length);
uint64_t random_below(uint64_t limit);		/* 0 .. limit-1, unbiased; limit > 0 */

#endif
