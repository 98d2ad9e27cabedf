#include "trace.h"

#include "common/address.h"
#include <string.h>

/* RFC 3848 knows no HELO with TLS: a client that says it is told apart by the tls clause. */
const char *trace_protocol(unsigned how)
{
	static const char *const names[2][4] = {
		{ "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" },
		{ "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" },
	};

	if (!(how & (TRACE_EXTENDED | TRACE_UTF8)))
		return "SMTP";
	return names[(how & TRACE_UTF8) != 0][((how & TRACE_TLS) != 0) + 2 * ((how & TRACE_AUTHENTICATED) != 0)];
}

/* A HELO argument may stand in the field as it is when it is a domain or a literal. */
static bool helo_is_fit(const char *helo)
{
	size_t length = strlen(helo);

	if (*helo == '[')
		return helo[length - 1] == ']' && strspn(helo + 1, "0123456789abcdefABCDEF:.IPv") == length - 2;
	return domain_is_valid(helo, length);
}

/* Anything else goes into the comment, harmless: no parentheses, quotes, blanks, nor 8-bit bytes. */
static bool trace_append_safe(stralloc *out, const char *text)
{
	bool ok = true;

	for (; *text && ok; text++) {
		bool is_safe = (unsigned char)*text > 0x20 && (unsigned char)*text < 0x7f && !strchr("()\\\"<>;,", *text);
		ok = text_append(out, is_safe ? text : "?", 1);
	}
	return ok;
}

static bool trace_append_client(stralloc *out, const struct trace *trace)
{
	char literal[NETWORK_TEXT_MAX + 8];

	if (trace->is_local)
		return text_append_format(out, "Received: from local (uid %u)", (unsigned)trace->uid);
	if (trace->is_hidden)	/* RFC 5321 4.4: a From-domain has to stand there */
		return text_append_string(out, "Received: from submission (address withheld)");
	ip_literal(&trace->client, literal);
	bool is_fit = trace->helo && helo_is_fit(trace->helo);
	bool ok = text_append_format(out, "Received: from %s (", is_fit ? trace->helo : literal);
	if (trace->client_name)
		ok = ok && text_append_format(out, "%s ", trace->client_name);
	ok = ok && text_append_string(out, literal);
	if (!is_fit && trace->helo)
		ok = ok && text_append_string(out, " helo ") && trace_append_safe(out, trace->helo);
	return ok && text_append_string(out, ")");
}

bool trace_append(stralloc *out, const struct trace *trace)
{
	char date[TIME_RFC5322_MAX];

	time_format_rfc5322(date, trace->arrived_us);
	if (!trace_append_client(out, trace) ||
	    !text_append_format(out, "\r\n\tby %s with %s id %s", trace->hostname, trace->protocol, trace->id))
		return false;
	if (trace->only_recipient && !text_append_format(out, "\r\n\tfor <%s>", trace->only_recipient))
		return false;
	if (trace->tls_cipher && !text_append_format(out, "\r\n\ttls %s (%s)", trace->tls_cipher, trace->tls_version))
		return false;
	return text_append_format(out, ";\r\n\t%s\r\n", date);
}

bool trace_append_missing(stralloc *out, const struct trace *trace, const struct header *header, const char *from)
{
	char date[TIME_RFC5322_MAX];

	if (!(header->fields & HEADER_DATE)) {
		time_format_rfc5322(date, trace->arrived_us);
		if (!text_append_format(out, "Date: %s\r\n", date))
			return false;
	}
	if (!(header->fields & HEADER_FROM)) {
		if (!(*from ? text_append_format(out, "From: <%s>\r\n", from)
		            : text_append_format(out, "From: <postmaster@%s>\r\n", trace->hostname)))
			return false;
	}
	if (!(header->fields & HEADER_MESSAGE_ID))
		return text_append_format(out, "Message-ID: <%s@%s>\r\n", trace->id, trace->hostname);
	return true;
}
