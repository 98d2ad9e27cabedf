/* link: smtpd/parameters.o smtpd/reply.o */
/* The arguments of MAIL and RCPT: what is taken must fit an envelope and a command of our own. */
#include "fuzz.h"
#include "smtpd/parameters.h"

static void check_address(const struct address *address)
{
	MUST(strlen(address->text) == address->length && address->length <= ADDRESS_MAX);
	MUST(address->domain >= address->text && address->domain <= address->text + address->length);
	MUST(text_is_printable(address->text, address->length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_parameters mail;
	struct rcpt_parameters rcpt;
	struct why words = { 0 };
	size_t i;

	if (parameters_of_mail((const char *)data, size, &mail, &words) == SAY_OK) {
		check_address(&mail.from);
		MUST(text_is_printable(mail.envid, strlen(mail.envid)) && !strchr(mail.envid, ' '));
		MUST(!mail.from.needs_smtputf8 || mail.smtputf8);
	}
	for (i = 0; i < 2; i++)
		if (parameters_of_rcpt((const char *)data, size, i, &rcpt, &words) == SAY_OK) {
			check_address(&rcpt.to);
			MUST(rcpt.to.length > 0 && text_is_printable(rcpt.orcpt, strlen(rcpt.orcpt)) && !strchr(rcpt.orcpt, ' '));
			MUST(!(rcpt.notify & NOTIFY_NEVER) || rcpt.notify == NOTIFY_NEVER);
		}
	return 0;
}
