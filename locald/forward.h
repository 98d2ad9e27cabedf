/* ~/.forward: what it says, entry by entry. Pure functions of bytes. Used by dotforward.c. */
#ifndef LOCALD_FORWARD_H
#define LOCALD_FORWARD_H

#include "common/result.h"
#include "common/wire.h"

enum { FORWARD_FILE_MAX = 64 << 10, FORWARD_ENTRIES_MAX = 1000, FORWARD_PROGRAMS_MAX = 32 };

enum forward_kind {
	ENTRY_ADDRESS,	/* text: as written, a local name perhaps */
	ENTRY_MAILBOX,	/* "\name": the mailbox itself where name is the user; text: name */
	ENTRY_PROGRAM,	/* text: the command, without '|' */
	ENTRY_PATH,		/* text: "/path", "~/path" or "./path", with a trailing '/' for a maildir */
};

struct forward_entry {
	enum forward_kind kind;
	char text[WIRE_PATH_LENGTH_MAX + 1];
};

/* The next entry of [*AT, END): entries are separated by commas and line ends; one that holds them is
 * quoted ("|program 'a, b'" or |"program"); '#' where an entry would begin makes the rest of the line a comment. RESULT_OK; RESULT_END: no more;
 * RESULT_NEVER: WHY says what is wrong. */
enum result forward_next(const char **at, const char *end, struct forward_entry *entry, struct why *why);

#endif
