/* Reads log files into the ledger of `dawk audit`: those of multilog and svlogd with their time stamps, plain ones,
 * the journal's. Used by audit.c. */
#ifndef DAWK_AUDIT_LOG_H
#define DAWK_AUDIT_LOG_H

#include "audit_book.h"

enum log_service { LOG_SMTPD, LOG_QUEUED, LOG_SERVICES };

struct audit_log {
	struct book *book;
	struct service_log {
		uint64_t lines, lost;		/* of its own process; LOST: by its own count */
		uint64_t since_us;		/* of its first line, as far as the lines tell the time; 0: not known */
	} services[LOG_SERVICES];
	uint64_t lines;
	struct followed { char *path; uint64_t offset; uint64_t inode; } *files;	/* for a second look */
	size_t file_count;
};

/* Reads PATH: a file, "-" for standard input, a folder of multilog or svlogd, or one that holds those of the services.
 * RESULT_NEVER, RESULT_RETRY with WHY. */
enum result audit_log_read(struct audit_log *log, const char *path, struct why *why);
/* Reads what was added since, also where files were turned over meanwhile. */
enum result audit_log_follow(struct audit_log *log, struct why *why);
void audit_log_free(struct audit_log *log);

#endif
