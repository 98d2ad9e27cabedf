#include "queued/report.h"

#include "common/address.h"
#include <stdlib.h>
#include <string.h>

enum {
	FOLD_AT = 72, FOLD_HARD = 900,		/* RFC 5322 2.1.1: a line holds 998 bytes at most */
	FULL_MAX = 50000,			/* bytes of a message that come back unasked */
	NAMED_MAX = 1000,			/* recipients in the text for people; all are in the second part */
	DAY = 86400, HOUR = 3600,
};

static bool is_ascii(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text > 0x7e)
			return false;
	return true;
}

/* The failures decide the kind of the whole report, then delays. */
static enum state_event kind_of(const struct report *r)
{
	enum state_event kind = STATE_DELIVERED;
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (r->recipients[i].event == STATE_FAILED)
			return STATE_FAILED;
		if (r->recipients[i].event == STATE_DEFERRED)
			kind = STATE_DEFERRED;
	}
	return kind;
}

/* RFC 6533: the parts change their types as soon as one address is not ASCII. */
static bool is_global(const struct report *r)
{
	size_t i;

	if (r->envelope->needs_smtputf8 || !is_ascii(r->to))
		return true;
	for (i = 0; i < r->count; i++)
		if (!is_ascii(r->recipients[i].address) || !is_ascii(r->recipients[i].as))
			return true;
	return false;
}

/* One line of text, broken at blanks, INDENT before each further line. Control characters and, unless UTF8,
 * what is not ASCII become '?'. */
static bool append_folded(stralloc *out, const char *text, size_t column, const char *indent, bool utf8)
{
	bool is_good = true;

	for (; *text && is_good; text++, column++) {
		unsigned char c = (unsigned char)*text;
		size_t word = strcspn(text + 1, " ");

		if ((c == ' ' && column > 0 && column + 1 + word > FOLD_AT && word) || column > FOLD_HARD) {
			is_good = text_append_string(out, "\r\n") && text_append_string(out, indent);
			column = strlen(indent);
			if (c == ' ')
				continue;
		}
		if (c < ' ' || c == 0x7f || (c > 0x7f && !utf8))
			c = '?';
		is_good = is_good && text_append(out, &c, 1);
	}
	return is_good && text_append_string(out, "\r\n");
}

/* The name of another host, as that or remoted gave it. */
static bool append_host(stralloc *out, const char *host)
{
	bool is_good = true;

	for (; *host && is_good; host++) {
		char c = *host > ' ' && *host < 0x7f ? *host : '?';
		is_good = text_append(out, &c, 1);
	}
	return is_good;
}

static bool append_field(stralloc *out, const char *name, const char *value, bool utf8)
{
	return text_append_string(out, name) && text_append_string(out, ": ") &&
	       append_folded(out, value, strlen(name) + 2, " ", utf8);
}

static bool append_date(stralloc *out, const char *name, uint64_t time_us)
{
	char date[TIME_RFC5322_MAX];

	time_format_rfc5322(date, time_us);
	return append_field(out, name, date, false);
}

/* ---- the header ---- */

static const char *subject(const struct report *r)
{
	if (r->is_for_postmaster)
		return "Undeliverable mail without a sender to tell";
	switch (kind_of(r)) {
	case STATE_FAILED:   return "Undelivered mail returned to sender";
	case STATE_DEFERRED: return "Delayed mail, still being tried";
	default:             return "Mail was delivered";
	}
}

/* RFC 2045 6.4: what holds parts of 8 bits says so itself. */
static bool append_header(stralloc *out, const struct report *r, bool is_8bit)
{
	return text_append_format(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <%s>\r\nSubject: %s\r\n",
	                          r->hostname, r->to, subject(r)) &&
	       append_date(out, "Date", r->now_us) &&
	       text_append_format(out, "Message-ID: <%s@%s>\r\nMIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n"
	                          "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	                          "\tboundary=\"=_%s\"\r\n%s\r\nThis is a delivery report in MIME format.\r\n",
	                          r->id, r->hostname, r->id, is_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

/* ---- part one: for people ---- */

static bool append_duration(stralloc *out, uint64_t seconds)
{
	uint64_t count = seconds >= 2 * DAY ? seconds / DAY : seconds >= 2 * HOUR ? seconds / HOUR : seconds / 60;

	return text_append_number(out, count) &&
	       text_append_string(out, seconds >= 2 * DAY ? " days" : seconds >= 2 * HOUR ? " hours" : " minutes");
}

static bool append_opening(stralloc *out, const struct report *r)
{
	const char *from = r->envelope->from;
	bool is_good = text_append_format(out, "This is the mail system of %s.\r\n\r\n", r->hostname);

	if (r->is_for_postmaster)
		return is_good && text_append_format(out, "A message that has no sender to tell (the null reverse-path, or a report)\r\n"
		                                     "could not be delivered. It is %s.\r\n\r\n", r->envelope->id);
	switch (kind_of(r)) {
	case STATE_FAILED:
		return is_good && text_append_format(out, "Your message could not be delivered to the recipients below. It will not be\r\n"
		                                     "tried again; what to do is said with each.\r\n\r\n");
	case STATE_DEFERRED:
		return is_good && text_append_string(out, "Your message has not been delivered yet to the recipients below. You need not\r\n"
		                                     "do anything: it is tried again, for ") &&
		       append_duration(out, r->give_up_us > r->now_us ? (r->give_up_us - r->now_us) / 1000000 : 0) &&
		       text_append_string(out, " more. If it can't be\r\ndelivered by then, you are told.\r\n\r\n");
	default:
		return is_good && text_append_format(out, "Your message from <%s> reached the recipients below, as you asked to be told.\r\n\r\n", from);
	}
}

static const struct { const char *status, *advice; } advices[] = {
	{ ".1.1", "There is no such mailbox. Check the spelling of the address." },
	{ ".1.2", "There is no such mail domain. Check what stands behind the @." },
	{ ".1.10", "This domain takes no mail. Check what stands behind the @." },
	{ ".2.1", "The mailbox is closed. Reach its owner in another way." },
	{ ".2.2", "The mailbox is full. Try again later, or reach its owner in another way." },
	{ ".2.3", "The message is too long for this mailbox. Send less, or in pieces." },
	{ ".3.4", "The message is too long for that host. Send less, or in pieces." },
	{ ".4.7", "It was tried until the time for it was over. Send it again later, or reach the recipient in another way." },
	{ ".4.6", "The message goes in a circle: tell the postmaster of the recipient." },
	{ ".7.1", "The other side refused it by its rules. Its words above say why; ask its postmaster." },
};

static bool append_advice(stralloc *out, const struct report_recipient *to)
{
	size_t i;

	if (to->event != STATE_FAILED)
		return true;
	for (i = 0; i < sizeof advices / sizeof *advices; i++)
		if (strcmp(to->status + 1, advices[i].status) == 0)
			return text_append_string(out, "    ") && append_folded(out, advices[i].advice, 4, "    ", false);
	return text_append_string(out, "    If the words above do not help, ask the postmaster, and send this report along.\r\n");
}

static const char *success_words(enum state_event event)
{
	switch (event) {
	case STATE_RELAYED:  return "was handed on to a host that may not send such reports";
	case STATE_EXPANDED: return "was handed on to the members of this list";
	default:             return "was delivered";
	}
}

static bool append_named(stralloc *out, const struct report_recipient *to)
{
	bool is_good = text_append_format(out, "<%s>", to->address);

	if (to->as && strcmp(to->as, to->address) != 0)
		is_good = is_good && text_append_format(out, " (given as <%s>)", to->as);
	is_good = is_good && text_append_string(out, "\r\n    ");
	if (state_is_final(to->event) && to->event != STATE_FAILED)
		return is_good && append_folded(out, success_words(to->event), 4, "    ", false) && text_append_string(out, "\r\n");
	if (*to->host)
		is_good = is_good && append_host(out, to->host) && text_append_string(out, " said: ");
	return is_good && append_folded(out, *to->words ? to->words : "no reason was given", 4 + strlen(to->host), "    ", true) &&
	       append_advice(out, to) && text_append_string(out, "\r\n");
}

/* What other hosts said may be anything. */
static bool text_is_8bit(const struct report *r)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (!is_ascii(r->recipients[i].words) || !is_ascii(r->recipients[i].host))
			return true;
	return is_global(r);
}

static bool append_text_part(stralloc *out, const struct report *r)
{
	bool is_good = text_append_format(out, "\r\n--=_%s\r\nContent-Type: text/plain; charset=utf-8\r\n%s\r\n", r->id,
	                                  text_is_8bit(r) ? "Content-Transfer-Encoding: 8bit\r\n" : "") && append_opening(out, r);
	size_t i;

	for (i = 0; i < r->count && i < NAMED_MAX && is_good; i++)
		is_good = append_named(out, &r->recipients[i]);
	if (r->count > NAMED_MAX)
		is_good = is_good && text_append_format(out, "and %zu more.\r\n", r->count - NAMED_MAX);
	return is_good;
}

/* ---- part two: for programs, RFC 3464 2 ---- */

/* xtext (RFC 3461 4) as text; what is malformed stays as it is. */
static char *decode(const char *xtext)
{
	size_t length = strlen(xtext);
	char *out = malloc(length + 1);

	if (!out)
		return NULL;
	if (!xtext_decode(xtext, length, out, &length))
		memcpy(out, xtext, length = strlen(xtext));
	out[length] = '\0';
	return out;
}

/* RFC 3464 2.3.1, 2.3.2: the type before the address; utf-8 per RFC 6533 3. */
static bool append_original(stralloc *out, const char *orcpt, bool utf8)
{
	char *text, *address;
	bool is_good;

	if (!orcpt)
		return true;
	text = decode(orcpt);
	if (!text)
		return false;
	address = strchr(text, ';');
	if (address)
		*address++ = '\0';
	is_good = text_append_format(out, "Original-Recipient: %s; ", address ? text : "rfc822") &&
	          append_folded(out, address ? address : text, 30, " ", utf8);
	free(text);
	return is_good;
}

static const char *action(enum state_event event)
{
	switch (event) {
	case STATE_FAILED:   return "failed";
	case STATE_DEFERRED: return "delayed";
	case STATE_RELAYED:  return "relayed";
	case STATE_EXPANDED: return "expanded";
	default:             return "delivered";
	}
}

static bool append_recipient(stralloc *out, const struct report *r, const struct report_recipient *to, bool utf8)
{
	bool is_good = text_append_string(out, "\r\n") && append_original(out, to->orcpt, utf8) &&
	               text_append_format(out, "Final-Recipient: %s; %s\r\nAction: %s\r\nStatus: %s\r\n",
	                                  is_ascii(to->address) ? "rfc822" : "utf-8", to->address, action(to->event), to->status);

	if (*to->host)
		is_good = is_good && text_append_string(out, "Remote-MTA: dns; ") && append_host(out, to->host) && text_append_string(out, "\r\n");
	if (*to->words && (to->event == STATE_FAILED || to->event == STATE_DEFERRED))
		is_good = is_good && text_append_format(out, "Diagnostic-Code: %s; ", *to->host ? "smtp" : "X-dawk") &&
		          append_folded(out, to->words, 24, " ", utf8);
	is_good = is_good && append_date(out, "Last-Attempt-Date", to->time_us);
	if (to->event == STATE_DEFERRED)
		is_good = is_good && append_date(out, "Will-Retry-Until", r->give_up_us);
	return is_good;
}

static bool append_status_part(stralloc *out, const struct report *r)
{
	bool utf8 = is_global(r), is_good;
	char *envid;
	size_t i;

	is_good = text_append_format(out, "\r\n--=_%s\r\nContent-Type: message/%sdelivery-status\r\n%s\r\nReporting-MTA: dns; %s\r\n",
	                             r->id, utf8 ? "global-" : "", utf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "", r->hostname);
	if (r->envelope->envid) {
		envid = decode(r->envelope->envid);
		is_good = is_good && envid && append_field(out, "Original-Envelope-Id", envid, utf8);
		free(envid);
	}
	is_good = is_good && append_date(out, "Arrival-Date", r->envelope->arrived_us);
	for (i = 0; i < r->count && is_good; i++)
		is_good = append_recipient(out, r, &r->recipients[i], utf8);
	return is_good;
}

/* ---- part three: the message ---- */

enum report_third report_choose_third(const struct envelope *envelope, bool tells_failure, uint64_t limit_bytes)
{
	/* Content with bare line ends can't stand inside a MIME part (RFC 3030 3); what requires TLS is not to be spread (RFC 8689 5). */
	if (envelope->return_headers || envelope->requires_tls || !tells_failure || envelope->body == BODY_BINARYMIME)
		return REPORT_HEADERS;
	if (envelope->return_full)
		return envelope->content_length < limit_bytes ? REPORT_FULL : REPORT_HEADERS;
	return envelope->content_length <= FULL_MAX ? REPORT_FULL : REPORT_HEADERS;
}

static bool append_third_header(stralloc *out, const struct report *r)
{
	static const char *const types[2][2] = {
		{ "text/rfc822-headers", "message/rfc822" }, { "message/global-headers", "message/global" },
	};

	return text_append_format(out, "\r\n--=_%s\r\nContent-Type: %s\r\n%s\r\n", r->id, types[r->envelope->needs_smtputf8][r->third == REPORT_FULL],
	                          r->third_is_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

bool report_build(const struct report *r, stralloc *head, stralloc *tail, bool *is_8bit, bool *needs_smtputf8)
{
	stralloc parts = { 0 };
	bool is_good = append_text_part(&parts, r) && append_status_part(&parts, r) && append_third_header(&parts, r) && text_append_nul(&parts);

	head->len = tail->len = 0;
	*needs_smtputf8 = !is_ascii(r->to);
	*is_8bit = is_good && (r->third_is_8bit || !is_ascii(parts.s));
	is_good = is_good && append_header(head, r, *is_8bit) && text_append(head, parts.s, parts.len) &&
	          text_append_format(tail, "\r\n--=_%s--\r\n", r->id);
	*is_8bit = *is_8bit || *needs_smtputf8;
	stralloc_free(&parts);
	return is_good;
}
