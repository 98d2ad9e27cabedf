/* The certificate that the suite makes itself. Used by cert.c and init.c. */
#ifndef DAWK_CERT_H
#define DAWK_CERT_H

#include "common/configuration.h"

/* Makes a key and a self-signed certificate for CONF's hostname below its keys/ (0700, made where it
 * is missing). A pair that is there and fits stays, unless RENEW. RESULT_OK: *IS_NEW says whether one
 * was made. Works before anything runs: `dawk init` calls it. */
enum result cert_make_self_signed(const struct configuration *conf, bool renew, bool *is_new, struct why *why);

#endif
