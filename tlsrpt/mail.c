/* A report as a message: RFC 8460 5.3, RFC 6522. */
#include "send.h"

#include "common/address.h"
#include "common/base64.h"
#include "common/text.h"
#include "dawk/submit.h"
#include <stdlib.h>
#include <string.h>

enum { BASE64_LINE_BYTES = 57 };	/* 76 characters, RFC 2045 6.8 */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 6068: the address of "mailto:ADDRESS?..", percent-decoded. */
static enum result find_address(const char *uri, struct address *address, struct why *why)
{
	const char *at = uri + strlen("mailto:"), *end = at + strcspn(at, "?");
	char text[ADDRESS_MAX + 1];
	size_t length = 0;

	while (at < end && length < ADDRESS_MAX) {
		bool is_encoded = *at == '%' && end - at > 2 && hex(at[1]) >= 0 && hex(at[2]) >= 0;
		text[length++] = is_encoded ? (char)(hex(at[1]) * 16 + hex(at[2])) : *at;
		at += is_encoded ? 3 : 1;
	}
	if (at < end || address_parse(text, length, address, why) != RESULT_OK || !*address->domain || address->needs_smtputf8)
		return why_set(why, RESULT_NEVER, "%.100s is no address", uri);
	return RESULT_OK;
}

static bool append_header(const struct parcel *parcel, const struct address *to, const char *id, const char *boundary, stralloc *out)
{
	const struct report *report = parcel->report;
	char date[TIME_RFC5322_MAX];
	uint64_t number;

	random_bytes(&number, sizeof number);
	time_format_rfc5322(date, time_real_us());
	/* RFC 8460 3: a report about TLS that fails arrives all the same; RFC 8689 5 says so to the next host */
	return text_append_format(out, "Date: %s\r\nFrom: <%s>\r\nTo: <%s>\r\nMessage-ID: <tlsrpt.%016llx@%s>\r\n", date, report->contact,
	                          to->text, (unsigned long long)number, report->hostname) &&
	       text_append_format(out, "Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n", report->domain,
	                          report->organization, id) &&
	       text_append_format(out, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\n", report->domain,
	                          report->organization) &&
	       text_append_format(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
	                          "report-type=\"tlsrpt\";\r\n boundary=\"%s\"\r\n\r\n", boundary);
}

static bool append_words(const struct parcel *parcel, const char *boundary, stralloc *out)
{
	const struct report *report = parcel->report;

	return text_append_format(out, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary) &&
	       text_append_format(out, "This is a report of TLS (RFC 8460) from\r\n%s\r\nabout mail to %s on %s (UTC).\r\n\r\n"
	                          "Sessions: %llu went well, %llu failed. The attachment has the details.\r\nQuestions go to %s.\r\n",
	                          report->organization, report->domain, report->day, (unsigned long long)report->successes,
	                          (unsigned long long)report->failures, report->contact) &&
	       text_append_format(out, "\r\n--%s\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
	                          "Content-Disposition: attachment;\r\n filename=\"%s\"\r\n\r\n", boundary, parcel->name);
}

static bool append_base64(const char *bytes, size_t length, stralloc *out)
{
	char line[BASE64_SIZE(BASE64_LINE_BYTES)];

	while (length) {
		size_t piece = length < BASE64_LINE_BYTES ? length : BASE64_LINE_BYTES;
		if (!text_append(out, line, base64_encode(bytes, piece, line)) || !text_append(out, "\r\n", 2))
			return false;
		bytes += piece;
		length -= piece;
	}
	return true;
}

static enum result write_message(const struct parcel *parcel, const struct address *to, stralloc *out, struct why *why)
{
	char boundary[40], *id = NULL;
	unsigned char random[12];
	size_t i, length = 0;
	FILE *memory = open_memstream(&id, &length);
	bool is_fine = memory != NULL;

	random_bytes(random, sizeof random);
	for (i = 0; i < sizeof random; i++)
		snprintf(boundary + 2 * i, sizeof boundary - 2 * i, "%02x", random[i]);
	if (memory) {
		report_write_id(parcel->report, memory);
		is_fine = fclose(memory) == 0;
	}
	is_fine = is_fine && append_header(parcel, to, id, boundary, out) && append_words(parcel, boundary, out) &&
	          append_base64(parcel->gzip, parcel->length, out) && text_append_format(out, "--%s--\r\n", boundary);
	free(id);
	return is_fine ? RESULT_OK : why_set(why, RESULT_RETRY, "no memory for a message");
}

static enum result submit(const struct parcel *parcel, const struct address *to, const stralloc *content, struct why *why)
{
	const struct configuration *conf = parcel->conf;
	const struct message none = { .rest = -1 };
	struct submission submission = { .fd = -1 };
	enum result result = submission_open(&submission, conf->listen_local, conf->hostname, false, why);

	if (result == RESULT_OK)
		result = submission_command(&submission, why, "MAIL FROM:<%s>", parcel->report->contact);
	if (result == RESULT_OK)
		result = submission_command(&submission, why, "RCPT TO:<%s>", to->text);
	if (result == RESULT_OK)
		result = submission_command(&submission, why, "DATA");
	if (result == RESULT_OK)
		result = submission_content(&submission, content, &none, 0, why);
	submission_close(&submission);
	return result;
}

enum result send_by_mail(const struct parcel *parcel, const char *uri, struct signer *signer, struct why *why)
{
	struct address to;
	stralloc content = { 0 };
	enum result result = find_address(uri, &to, why);

	if (result == RESULT_OK)
		result = write_message(parcel, &to, &content, why);
	if (result == RESULT_OK)
		result = signer_sign(signer, &content, why);
	if (result == RESULT_OK)
		result = submit(parcel, &to, &content, why);
	stralloc_free(&content);
	return result;
}
