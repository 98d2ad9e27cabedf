/* Who sends the reports: the address, the domain that signs for it, the file of its key. Used by tlsrpt and `dawk tlsrpt`. */
#ifndef TLSRPT_SENDER_H
#define TLSRPT_SENDER_H

#include "common/address.h"
#include "common/configuration.h"

struct sender {			/* NUL-ended texts */
	char address[ADDRESS_MAX + 1];		/* tls-report-contact, or the postmaster */
	char domain[ADDRESS_DOMAIN_MAX + 1];	/* of it */
	char record[ADDRESS_DOMAIN_MAX + 1];	/* the DNS name of its key, RFC 6376 3.6.2.1; "" without one */
};
/* RESULT_NEVER: there is a tls-report-key, and nothing in the DNS for it. */
enum result sender_find(const struct configuration *conf, struct sender *sender, struct why *why);

/* Opens the key of CONF, which has one, for reading. RESULT_NEVER: it is no file, or others than its owner may read it. */
enum result sender_open_key(const struct configuration *conf, int *fd, struct why *why);

#endif
