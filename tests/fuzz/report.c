/* link: queued/report.o */
/* Reports: whatever other hosts said and senders asked for, the report is lines that end in CRLF, none too long, and
 * nothing of it begins a header field or a part that is not the report's own. */
#include "fuzz.h"
#include "queued/report.h"

#define ID "1ezn3v0c4hk7x2m9q0aa"
#define BOUNDARY "--=_" ID

/* The next text of the input, up to its NUL; "" at the end. */
static const char *next(char **at, char *end)
{
	char *text = *at;

	if (text >= end)
		return "";
	*at = text + strlen(text) + 1;
	return text;
}

/* smtpd and the envelope's reader let nothing else in. */
static bool is_text(const char *text)
{
	return !text || (strlen(text) <= 500 && text_is_printable(text, strlen(text)));
}

static void check_lines(const stralloc *text, unsigned *boundaries)
{
	size_t i, begin = 0;

	for (i = 0; i < text->len; i++) {
		MUST(text->s[i] != 0);
		MUST(text->s[i] != '\r' || (i + 1 < text->len && text->s[i + 1] == '\n'));
		if (text->s[i] != '\n')
			continue;
		MUST(i > 0 && text->s[i - 1] == '\r' && i - begin <= 1000);
		*boundaries += i - begin >= sizeof BOUNDARY && !memcmp(text->s + begin, BOUNDARY, sizeof BOUNDARY - 1);
		begin = i + 1;
	}
}

static void check(const stralloc *head, const stralloc *tail)
{
	unsigned boundaries = 0;

	check_lines(head, &boundaries);
	check_lines(tail, &boundaries);
	MUST(boundaries == 4);	/* three parts and the end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = malloc(size + 1), *at = input, *end = input + size;
	struct envelope_recipient to = { 0 };
	struct envelope envelope = { .recipients = &to, .recipient_count = 1 };
	struct report_recipient recipient = { .event = STATE_FAILED, .time_us = 1795300000000000 };
	struct report report = { .hostname = "mail.local.example", .id = ID, .envelope = &envelope,
		.recipients = &recipient, .count = 1, .now_us = 1795300001000000, .give_up_us = 1795400001000000 };
	stralloc head = { 0 }, tail = { 0 };
	bool is_8bit, needs_smtputf8;
	unsigned flags;

	MUST(input != NULL);
	memcpy(input, data, size);
	input[size] = 0;
	flags = size ? (unsigned char)input[0] : 0;
	at += size > 0;
	envelope.id = "1ezn3v0c4hk7x2m9q0ab";
	envelope.from = report.to = next(&at, end);
	envelope.envid = flags & 1 ? next(&at, end) : NULL;
	to.address = recipient.address = next(&at, end);
	recipient.as = flags & 2 ? next(&at, end) : NULL;
	recipient.orcpt = flags & 4 ? next(&at, end) : NULL;
	recipient.status = "5.1.1";
	recipient.host = next(&at, end);
	recipient.words = next(&at, end);
	recipient.event = flags & 8 ? STATE_DEFERRED : STATE_FAILED;
	report.third = flags & 16 ? REPORT_FULL : REPORT_HEADERS;
	report.third_is_8bit = flags & 32;
	report.is_for_postmaster = flags & 64;
	if (is_text(envelope.from) && is_text(envelope.envid) && is_text(to.address) && is_text(recipient.as) && is_text(recipient.orcpt) &&
	    strlen(recipient.host) <= 300 &&
	    report_build(&report, &head, &tail, &is_8bit, &needs_smtputf8))
		check(&head, &tail);
	stralloc_free(&head);
	stralloc_free(&tail);
	free(input);
	return 0;
}
