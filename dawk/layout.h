/* What `dawk init` makes: where the parts of an instance lie, its accounts, its services. Used by
 * init.c alone, and by the files that do a part of its work. */
#ifndef DAWK_LAYOUT_H
#define DAWK_LAYOUT_H

#include "common/result.h"
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct layout {
	bool is_system;			/* the host's own installation, not an instance below a folder */
	char root[PATH_MAX];		/* of an instance; "" for the system */
	char etc[PATH_MAX], conf[PATH_MAX];
	char queue[PATH_MAX], mailboxes[PATH_MAX], run[PATH_MAX], state[PATH_MAX], log[PATH_MAX], service[PATH_MAX];
};

/* DIRECTORY (made absolute; it need not exist), or NULL for the system's places. RESULT_NEVER: a path
 * that run scripts and the configuration can't hold. */
enum result layout_fill(struct layout *layout, const char *directory, struct why *why);

/* Makes DIRECTORY and missing parents with MODE (parents 0755). One that is there stays as it is. */
enum result layout_make_directory(const char *directory, mode_t mode, struct why *why);
/* Writes a new file with TEXT, atomically and durably; with KEEP one that is there stays as it is. */
enum result layout_write_file(const char *path, const char *text, size_t length, mode_t mode, bool keep, struct why *why);
/* The same in place of one that is there, perhaps; root leaves it to whom it belongs. */
enum result layout_replace_file(const char *path, const char *text, size_t length, mode_t mode, struct why *why);

/* The suite's accounts (root only): makes those that are missing and says which. RESULT_NEVER:
 * WHY says what to do by hand. */
enum result accounts_make(struct why *why);
/* Ids of ACCOUNT. RESULT_NEVER: there is none. */
enum result accounts_find(const char *account, uid_t *uid, gid_t *gid, struct why *why);

/* Services below layout->service, each with its log service, for runit and daemontools. PROGRAMS:
 * the folder of the suite's programs. */
enum result scripts_make(const struct layout *layout, const char *programs, struct why *why);

#endif
