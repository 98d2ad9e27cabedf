/* link: smtpd/header.o */
/* What is seen of a header going by, RFC 5322 2.2, however it is split. */
#include "smtpd/header.h"
#include "unit.h"

static const struct {
	const char *in;
	unsigned fields, received;
	bool is_over, is_missing;
} rows[] = {
	{ "Subject: a\r\n\r\nDate: b\r\n", 0, 0, true, false },
	{ "Date: a\r\nfrom: b\r\nMESSAGE-ID: <c>\r\n\r\n", HEADER_DATE | HEADER_FROM | HEADER_MESSAGE_ID, 0, true, false },
	{ "Received: a\r\n\tb\r\nReceived: c\r\nX-Received: d\r\n\r\nReceived: e", 0, 2, true, false },
	{ "Date : old\r\n\r\n", HEADER_DATE, 0, true, false },
	{ "Subject: a\r\n Date: folded\r\n\r\n", 0, 0, true, false },
	{ "hello\r\nDate: a\r\n", 0, 0, true, true },
	{ "\r\nDate: a\r\n", 0, 0, true, false },
	{ " folded\r\n", 0, 0, true, true },
	{ ": a\r\n", 0, 0, true, true },
	{ "Subject: a\r\nno field\r\nDate: b\r\n", 0, 0, true, false },
	{ "Dates: a\r\nResent-From: b\r\n", 0, 0, false, false },
	{ "", 0, 0, false, false },
	{ "Received-Very-Long-Field-Name: x\r\n\r\n", 0, 0, true, false },
};

static void check(size_t i, size_t step)
{
	struct header header;
	size_t length = strlen(rows[i].in);

	header_start(&header);
	for (size_t at = 0; at < length; at += step)
		header_feed(&header, rows[i].in + at, step < length - at ? step : length - at);
	CHECK(header.fields == rows[i].fields);
	CHECK(header.received_count == rows[i].received);
	CHECK(header.is_over == rows[i].is_over);
	CHECK(header.is_missing == rows[i].is_missing);
}

static void fields_are_seen_however_the_header_is_split(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t step = 1; step < 40; step++)
			check(i, step);
}

/* RFC 8689 3 */
static void tls_required_no_is_read_however_it_is_split(void)
{
	static const struct { const char *in; bool is_optional; } cases[] = {
		{ "TLS-Required: No\r\n\r\n", true }, { "tls-required:NO\r\n\r\n", true }, { "TLS-Required:\r\n no \r\nDate: x\r\n", true },
		{ "TLS-Required: Yes\r\n\r\n", false }, { "TLS-Required: Nope\r\n\r\n", false }, { "TLS-Required:\r\n\r\n", false },
		{ "TLS-Required: n\r\n\r\n", false }, { "X-TLS-Required: No\r\n\r\n", false }, { "Subject: a\r\n\r\nTLS-Required: No\r\n", false },
		{ "TLS-Required: Yes\r\nTLS-Required: No\r\n\r\n", true }, { "TLS-Required: No", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t step = 1; step < 40; step++) {
			struct header header;
			size_t length = strlen(cases[i].in);

			header_start(&header);
			for (size_t at = 0; at < length; at += step)
				header_feed(&header, cases[i].in + at, step < length - at ? step : length - at);
			CHECK(header.is_tls_optional == cases[i].is_optional);
		}
}

int main(void)
{
	UNIT_RUN(tls_required_no_is_read_however_it_is_split);
	UNIT_RUN(fields_are_seen_however_the_header_is_split);
	return unit_end();
}
