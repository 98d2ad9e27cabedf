/* The key that signs reports of TLS, and its record in the DNS. Used by tlsrpt.c. */
#ifndef DAWK_TLSRPT_KEY_H
#define DAWK_TLSRPT_KEY_H

#include "common/configuration.h"

/* Prints the TXT record (RFC 6376 3.6.1, s=tlsrpt: RFC 8460 3) of the key of tls-report-key. An exit code. */
int tlsrpt_key_print_record(const struct configuration *conf);
/* Makes an RSA key in that place, durably, never over what is there, and prints its record. An exit code. */
int tlsrpt_key_make(const struct configuration *conf);

#endif
