/* The arguments of MAIL and RCPT: path and parameters (RFC 5321 4.1.1.2, 4.1.1.3, 4.1.2). Pure functions
 * of a line's bytes; nothing is judged here but form. */
#ifndef SMTPD_PARAMETERS_H
#define SMTPD_PARAMETERS_H

#include "common/address.h"
#include "common/queue.h"
#include "reply.h"

enum { ENVID_MAX = 100, ORCPT_MAX = 500 };	/* RFC 3461 4.4, 4.2 */

struct mail_parameters {
	struct address from;
	uint64_t size_bytes;		/* SIZE=, RFC 1870; 0: not given */
	enum body_type body;		/* BODY=, RFC 6152 */
	bool smtputf8;			/* RFC 6531 3.4 */
	bool requires_tls;		/* REQUIRETLS, RFC 8689 2 */
	bool return_full, return_headers;	/* RET=, RFC 3461 4.3 */
	char envid[ENVID_MAX + 1];	/* as given; "": none */
};

struct rcpt_parameters {
	struct address to;
	unsigned notify;		/* NOTIFY_..., RFC 3461 4.1 */
	char orcpt[ORCPT_MAX + 1];	/* as given; "": none */
};

/* TEXT: what follows the verb, LENGTH bytes without the line end. Old programs' ways are taken: any
 * case, blanks around the colon, no brackets. SAY_OK, or the reply to give, with its WORDS. */
enum reply parameters_of_mail(const char *text, size_t length, struct mail_parameters *mail, struct why *words);
/* IS_UTF8: MAIL had SMTPUTF8, so that ORCPT may hold UTF-8 (RFC 6533 3). */
enum reply parameters_of_rcpt(const char *text, size_t length, bool is_utf8, struct rcpt_parameters *rcpt, struct why *words);

/* struct address holds a pointer into itself. */
static inline void address_copy(struct address *to, const struct address *from)
{
	*to = *from;
	to->domain = to->text + (from->domain - from->text);
}

#endif
