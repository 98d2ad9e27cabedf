/* `dawk update`: sources to compiled tables. Everything is written into a staging folder below tables/
 * and secret/ first, judged there, and renamed into place only when all of it is right. Used by
 * update.c and by the files that do a table each. */
#ifndef DAWK_UPDATE_H
#define DAWK_UPDATE_H

#include "common/address.h"
#include "common/configuration.h"
#include "common/table.h"
#include "common/text.h"
#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

enum { UPDATE_ERRORS_LISTED = 20, UPDATE_LINE_MAX = 16 << 20 };

struct update {
	const struct configuration *conf;
	bool is_quiet, shows_progress;
	uid_t owner;			/* of sources besides root: who runs an instance of one's own */
	uid_t mailbox_uid;		/* of users without UID and GID */
	gid_t mailbox_gid;
	char tables[PATH_MAX], secret[PATH_MAX];		/* where the tables go */
	char staging[PATH_MAX], secret_staging[PATH_MAX];	/* where they are made */
	int lock;			/* of tables/; -1: not taken */
	critbit0_tree logins;		/* the names of lines route:NAME:.. of the secrets, which are read before the routes */
	unsigned errors, warnings;
	uint64_t shown_ms;		/* when progress was shown last */
};

/* A fault in a source: "FILE:LINE: TEXT" on standard error (the first UPDATE_ERRORS_LISTED), counted.
 * LINE 0: the file as a whole. A warning does not stop the update. */
void update_error(struct update *update, const char *file, unsigned line, const char *format, ...) __attribute__((format(printf, 4, 5)));
void update_warning(struct update *update, const char *file, unsigned line, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A failure of the system: counted and said the same way. */
void update_failure(struct update *update, const struct why *why);
/* "TABLE: COUNT" on a terminal, twice a second at most. */
void update_progress(struct update *update, const char *table, uint64_t count);

/* A source, read a logical line at a time: comments and empty lines are skipped, a line that starts
 * with a blank continues the last. */
struct source {
	struct update *update;
	const char *path;
	FILE *file;			/* NULL: there is no such file, which is an empty table */
	unsigned line;			/* where the logical line starts */
	unsigned next_line;
	char *ahead;			/* a physical line that was read already */
	size_t ahead_size;
	ssize_t ahead_length;
	bool continues;			/* lines may be continued */
	stralloc text;			/* the logical line, NUL-ended */
};
/* Judges owner and mode: root's (or the owner's of an instance of one's own), writable by nobody
 * else, and where IS_SECRET readable by nobody else. false: counted as an error. */
bool source_open(struct source *source, struct update *update, const char *path, bool is_secret, bool continues);
/* false: the end. Faults are counted. */
bool source_next(struct source *source);
void source_close(struct source *source);
/* A fault in the logical line that is open. */
#define source_error(source, ...) update_error((source)->update, (source)->path, (source)->line, __VA_ARGS__)

/* Parts of a line that are cut at COLON; at most COUNT, the last takes the rest. Returns how many. */
size_t update_split(const char *text, size_t length, char separator, const char **part, size_t *part_length, size_t count);

/* An address of a domain that is local here, folded. false: counted. FOLDED: ADDRESS_MAX + 1 bytes. */
bool update_local_address(struct source *source, const char *text, size_t length, char *folded);

/* Adds to WRITER; a key that is there already is the source's fault. */
bool update_add(struct source *source, struct table_writer *writer, const char *key, const void *value, size_t value_length);

/* A table each: read the source, write it into WRITER. COUNT: the entries. */
void update_users(struct update *update, struct table_writer *users, struct table_writer *hashes, uint64_t *count);
void update_secrets(struct update *update, struct table_writer *writer, struct table_writer *logins, uint64_t *count);
void update_aliases(struct update *update, struct table_writer *aliases, struct table_writer *lines, uint64_t *count);
void update_routes(struct update *update, struct table_writer *writer, uint64_t *count);
void update_site(struct update *update, struct table_writer *writer, uint64_t *count);
void update_access(struct update *update, struct table_writer *writer, uint64_t *count);
void update_relay_recipients(struct update *update, struct table_writer *writer, uint64_t *count);
void update_senders(struct update *update, struct table_writer *writer, uint64_t *count);
void update_limits(struct update *update, struct table_writer *writer, uint64_t *count);

/* After users and aliases lie in the staging folder: loops, nesting, selves without a mailbox. LINES
 * there says in which line each alias begins. */
void update_judge_aliases(struct update *update);

/* The value of a route or of a site's treatment, judged and in its one form, into OUT. */
enum result route_normalise(const char *text, size_t length, stralloc *out, struct why *why);
enum result site_normalise(const char *text, size_t length, stralloc *out, struct why *why);

#endif
