/* Signing what goes by mail (RFC 8460 3, RFC 6376): the key lies in a keyd of tlsrpt's own. Used by tlsrpt. */
#ifndef TLSRPT_SIGNER_H
#define TLSRPT_SIGNER_H

#include "common/channel.h"
#include "sender.h"
#include <sys/types.h>

enum { SIGNER_MS = 10000 };		/* wait for keyd */

struct signer {
	const char *domain, *selector;	/* as long as the sender and the configuration live */
	struct channel control, keyd;
	pid_t pid;			/* 0: there is no key, nothing is signed */
	unsigned char key[WIRE_KEY_ID_MAX];
	enum sign_algorithm algorithm;
	uint64_t serial;
};

/* Starts keyd with the key of CONF; without one RESULT_OK too. To be called with the rights that may read the key, and
 * none is needed afterwards: neither the key nor its file stays in this process, and the pipe that brings keys is closed.
 * RESULT_NEVER: it is no key for mail, or its file is not fit. */
enum result signer_start(struct signer *signer, const struct configuration *conf, const struct sender *sender, struct why *why);
/* Accepts one that was not started. */
void signer_stop(struct signer *signer);

/* Puts a DKIM-Signature in front of the message, which has CRLF line ends and an empty line behind its header; without
 * a key it stays as it is. RESULT_RETRY: it is not signed. */
enum result signer_sign(struct signer *signer, stralloc *message, struct why *why);

#endif
