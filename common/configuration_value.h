/* The types of values in dawk.conf: how each is read, and what is expected where one is wrong.
 * Used by configuration.c alone. */
#ifndef COMMON_CONFIGURATION_VALUE_H
#define COMMON_CONFIGURATION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
	VALUE_HOSTNAME,		/* char *: one domain, lower case */
	VALUE_DOMAINS,		/* struct text_list: at least one */
	VALUE_RELAY_DOMAINS,	/* struct text_list: also ".domain"; may be empty */
	VALUE_LISTENERS,	/* struct listener_list: "none" is empty */
	VALUE_NETWORKS,		/* struct network_list: "none", "any" */
	VALUE_PATH,		/* char *: absolute */
	VALUE_PATH_OR_NONE,	/* char *: NULL for "none" and for nothing */
	VALUE_PATHS,		/* struct text_list: absolute; may be empty */
	VALUE_RESOLVER,		/* struct text_list: "system" is empty */
	VALUE_CHARACTERS,	/* char *: may be empty */
	VALUE_ADDRESS,		/* char *: an address with its domain; NULL for nothing */
	VALUE_SIZE,		/* uint64_t, bytes */
	VALUE_NUMBER,		/* uint32_t */
	VALUE_SECONDS,		/* uint32_t */
	VALUE_WAITS,		/* struct seconds_list: at least one */
	VALUE_YES_NO,		/* bool */
	VALUE_BARE_NEWLINE,	/* enum bare_newline */
	VALUE_QUOTA_POLICY,	/* enum quota_policy */
	VALUE_RELAY_CHECK,	/* enum relay_check */
	VALUE_RELAY_AWAY,	/* enum relay_away */
	VALUE_SUBMISSION_FROM,	/* enum submission_from */
	VALUE_LIMIT,		/* uint32_t: "off" is 0 */
	VALUE_SYNC,		/* enum durable_policy */
	VALUE_LISTENER_NAMES,	/* uint32_t: enum listener_bit; "none" is 0 */
	VALUE_MECHANISMS,	/* uint32_t: enum mechanism_bit */
	VALUE_TYPES
};

struct value {
	enum value_type type;
	uint64_t least, most;		/* of numbers, sizes and times; most 0: no limits */
	const char *text;		/* NUL-ended, without blanks at its ends */
	const char *directory;		/* where relative paths start */
	const char *found;		/* set on failure: the bytes that are wrong */
	size_t found_length;
	bool is_out_of_memory;
};

/* Reads VALUE->text into FIELD, a zeroed field of VALUE's type. false: FOUND is set, FIELD may hold
 * a part and has to be released. */
bool value_read(struct value *value, void *field);
/* Frees what FIELD owns and zeroes it. Accepts a zeroed field. */
void value_release(enum value_type type, void *field);
/* What is expected of TYPE, to follow the word "expected". */
const char *value_expected(enum value_type type);

/* "30s", "15m", "4h", "5d", or seconds alone; at most UINT32_MAX seconds. */
bool value_parse_seconds(const char *text, size_t length, uint64_t *seconds);
/* "64k", "50M", "2G" (1024 each), or bytes alone. */
bool value_parse_size(const char *text, size_t length, uint64_t *bytes);

#endif
