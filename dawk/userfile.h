/* The users table as a file that `dawk user` edits: lines are kept as they are, comments too; it is
 * replaced atomically, under a lock. Used by user.c. */
#ifndef DAWK_USERFILE_H
#define DAWK_USERFILE_H

#include "common/address.h"
#include "common/configuration.h"
#include "common/text.h"

struct userfile {
	const char *path;	/* the configuration's */
	int lock;		/* of its folder; -1: none */
	stralloc text;		/* the file's bytes */
};

enum { USER_ADDRESS, USER_HASH, USER_UID, USER_GID, USER_MAILDIR, USER_QUOTA, USER_FIELDS };
struct user_line {
	size_t start, length;			/* of the whole line in the text, newline included */
	const char *field[USER_FIELDS];		/* into the text, not NUL-ended; missing ones are empty */
	size_t field_length[USER_FIELDS];
};

/* Takes the lock (waits up to ten seconds) and reads. A missing file is an empty one. */
enum result userfile_open(struct userfile *file, const char *path, bool is_writer, struct why *why);
void userfile_close(struct userfile *file);

/* The next line that holds a user, from *AT on (0 at first). false: no more. */
bool userfile_next(const struct userfile *file, size_t *at, struct user_line *line);
/* The line of ADDRESS, in whatever case it is written. */
bool userfile_find(const struct userfile *file, const struct address *address, struct user_line *line);

/* Replaces LENGTH bytes at START by TEXT, in memory. */
enum result userfile_edit(struct userfile *file, size_t start, size_t length, const stralloc *text, struct why *why);
/* Writes the file anew: durable, mode 0600. */
enum result userfile_save(struct userfile *file, struct why *why);

#endif
