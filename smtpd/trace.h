/* What smtpd writes in front of a message: the Received field (RFC 5321 4.4, RFC 3848, RFC 6531 3.7.3, RFC 8314 4.3), and for
 * submitted mail the fields that it lacks (RFC 6409 8). Pure. */
#ifndef SMTPD_TRACE_H
#define SMTPD_TRACE_H

#include "common/network.h"
#include "common/text.h"
#include "header.h"

struct trace {
	const char *hostname, *helo;	/* helo: as the client said it, NULL for none */
	const char *client_name;	/* its confirmed host name, NULL for none */
	struct address_ip client;
	bool is_local;			/* by the local socket: UID stands for the client */
	bool is_hidden;			/* who submitted it is not told from where */
	uint32_t uid;
	const char *protocol;		/* "ESMTPS" */
	const char *tls_cipher, *tls_version;	/* RFC 8314 4.3; NULL: in clear */
	const char *id;
	const char *only_recipient;	/* NULL when there are several: nobody learns of the others */
	uint64_t arrived_us;
};

/* Appends the Received field. false: no memory. */
bool trace_append(stralloc *out, const struct trace *trace);

/* Appends Date, From and Message-ID where HEADER (complete) lacks them. FROM: reverse-path, "" for null. */
bool trace_append_missing(stralloc *out, const struct trace *trace, const struct header *header, const char *from);

/* The "with" keyword of RFC 3848 and RFC 6531 4.3, by how the message came. */
enum { TRACE_EXTENDED = 1, TRACE_UTF8 = 2, TRACE_TLS = 4, TRACE_AUTHENTICATED = 8 };
const char *trace_protocol(unsigned how);

#endif
