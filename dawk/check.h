/* `dawk check`: findings, each with how to mend it. Used by check.c, check_certificates.c, check_ports.c,
 * check_hashes.c, check_names.c, check_owners.c, check_postmaster.c. */
#ifndef DAWK_CHECK_H
#define DAWK_CHECK_H

#include "common/configuration.h"
#include <sys/types.h>

struct check {
	const struct configuration *conf;
	bool is_root;
	unsigned findings;
};

/* "wrong: ..." and below it "mend: ..."; counted. */
void check_finding(struct check *check, const char *mend, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* What deserves a look, but may be meant so: not counted. */
void check_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each of `domains` has a postmaster. */
void check_postmaster(struct check *check);
/* Mailboxes and what lies in the queue belong to the accounts that have to read them. */
void check_owners(struct check *check);
/* Hashes of users and app passwords are of methods that authd takes. */
void check_hashes(struct check *check);
/* Listeners: free, or held by this suite's own programs. */
void check_ports(struct check *check);
/* Certificates: there, with their keys, for this host's name, and for how long. */
void check_certificates(struct check *check);
/* What the DNS says of this host and its domains. Waits a few seconds at most. */
void check_names(struct check *check);

#endif
