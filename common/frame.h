/* Frames: encoding and checking of the messages of wire.h. Pure functions of bytes, so that they
 * can be fuzzed without a socket. Used by channel.c and tests. */
#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include "result.h"
#include "text.h"
#include "wire.h"

struct wire_value {
	uint64_t number;	/* of a NUMBER */
	const char *bytes;	/* of BYTES: not NUL-ended, may hold any byte; NULL only when length is 0 */
	size_t length;
};
#define WIRE_NUMBER(n) { .number = (uint64_t)(n) }
#define WIRE_BYTES(b, l) { .bytes = (b), .length = (l) }
#define WIRE_STRING(s) { .bytes = (s), .length = strlen(s) }

struct frame {
	enum wire_type type;
	struct wire_value value[WIRE_FIELDS_MAX];	/* as many as the type has; index by its enum */
	bool has_descriptor;	/* one came, or is still to be taken from the pipe */
	int descriptor;		/* -1: none. Whoever handles the frame owns it and closes it. */
};

/* Appends one frame of TYPE with VALUES (all its fields) to OUT; HAS_DESCRIPTOR must be as the table
 * allows. RESULT_OK; RESULT_NEVER: a value is longer than the table allows, nothing appended;
 * RESULT_RETRY: no memory, nothing appended. */
enum result frame_append(stralloc *out, enum wire_type type, const struct wire_value *values,
                         bool has_descriptor, struct why *why);

/* Takes the first whole frame of LENGTH bytes at BYTES. RESULT_OK: it took *USED bytes, F's values
 * point into BYTES, f->descriptor is -1. RESULT_RETRY: not complete yet. RESULT_PEER: foreign
 * version, unknown type, over FRAME_MAX, fields that do not fit, or a descriptor against the table. */
enum result frame_take(const void *bytes, size_t length, struct frame *f, size_t *used, struct why *why);

const char *frame_name(enum wire_type type);
enum frame_descriptor { DESCRIPTOR_NONE, DESCRIPTOR_ONE, DESCRIPTOR_MAYBE };
enum frame_descriptor frame_wants_descriptor(enum wire_type type);

/* Does value I of F equal the NUL-ended STRING? */
bool frame_value_is(const struct frame *f, int i, const char *string);
/* Copies value I, NUL-ended, into OUT of SIZE bytes. false: it does not fit or holds a NUL. */
bool frame_value_copy(const struct frame *f, int i, char *out, size_t size);

#endif
