/* The certificate that the suite makes itself. And what is to be said of those in use.
 * Used by cert.c, init.c, check.c, status.c. */
#ifndef DAWK_CERT_H
#define DAWK_CERT_H

#include "common/configuration.h"
#include "common/tls.h"

/* Makes a key and a self-signed certificate for CONF's hostname below its keys/ (0700, made where it
 * is missing). A pair that is there and fits stays, unless RENEW. RESULT_OK: *IS_NEW says whether one
 * was made. Works before anything runs: `dawk init` calls it. */
enum result cert_make_self_signed(const struct configuration *conf, bool renew, bool *is_new, struct why *why);

/* What `dawk check` and `dawk status` have to say of a certificate in use. */
struct cert_row {
	const char *file;		/* the certificate's, or what stands for all of them */
	const struct tls_certificate *facts;	/* NULL: it could not be read */
	int64_t days_left;
	bool is_fault;			/* TLS fails for it now, or is distrusted */
	bool is_unknown;		/* the caller may not read it, or its key */
	const char *fault;		/* for a person; NULL: none. Without is_fault: it will be one soon */
};
/* Calls EACH for every certificate that the configuration means; once, without facts, where there is none. */
void cert_each(const struct configuration *conf, void (*each)(void *context, const struct cert_row *row), void *context);

#endif
