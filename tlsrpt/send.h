/* Sending a report: RFC 8460 5. Used by tlsrpt. */
#ifndef TLSRPT_SEND_H
#define TLSRPT_SEND_H

#include "common/configuration.h"
#include "dawk/names.h"
#include "report.h"
#include "signer.h"

struct parcel {			/* a report, ready to go */
	const struct configuration *conf;
	const struct report *report;
	char *gzip;		/* its JSON, RFC 1952 */
	size_t length;
	char name[700];		/* as a file: RFC 8460 5.1 */
};

/* RESULT_RETRY: no memory. */
enum result parcel_pack(struct parcel *parcel, const struct configuration *conf, const struct report *report, struct why *why);
void parcel_free(struct parcel *parcel);

/* As a message to ADDRESS, "mailto:..", signed by SIGNER, through the host's own smtpd (RFC 8460 5.3). RESULT_RETRY;
 * RESULT_NEVER: the address is none, or was refused. */
enum result send_by_mail(const struct parcel *parcel, const char *address, struct signer *signer, struct why *why);
/* To URL, "https:..", whose host NAMES looks up (RFC 8460 5.4). Results as those of send_by_mail. */
enum result send_by_https(const struct parcel *parcel, const char *url, struct names *names, struct why *why);

#endif
