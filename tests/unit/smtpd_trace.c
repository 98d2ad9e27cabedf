/* link: smtpd/trace.o smtpd/reply.o */
/* The trace header, RFC 5321 4.4, RFC 3848, and the form of replies, RFC 5321 4.2.1. */
#include "smtpd/reply.h"
#include "smtpd/trace.h"
#include "unit.h"

static const struct {
	struct trace trace;
	const char *start;
} rows[] = {
	{ { .helo = "c.example", .client = { 4, { 192, 0, 2, 1 } }, .protocol = "ESMTP", .only_recipient = "a@b.example" },
	  "Received: from c.example ([192.0.2.1])\r\n\tby h.example with ESMTP id ID\r\n\tfor <a@b.example>;\r\n\t" },
	{ { .helo = "c.example", .client_name = "n.example", .client = { 4, { 192, 0, 2, 1 } }, .protocol = "SMTP" },
	  "Received: from c.example (n.example [192.0.2.1])\r\n\tby h.example with SMTP id ID;\r\n\t" },
	{ { .helo = "[192.0.2.1]", .client = { 4, { 192, 0, 2, 1 } }, .protocol = "SMTP" },
	  "Received: from [192.0.2.1] ([192.0.2.1])\r\n\tby h.example with SMTP id ID;\r\n\t" },
	{ { .helo = "a(b)\"c d\\", .client = { 4, { 192, 0, 2, 1 } }, .protocol = "SMTP" },
	  "Received: from [192.0.2.1] ([192.0.2.1] helo a?b??c?d?)\r\n\tby" },
	{ { .helo = "c.example", .client_name = "n.example", .client = { 4, { 192, 0, 2, 1 } }, .is_hidden = true, .protocol = "ESMTPSA", .only_recipient = "a@b.example" },
	  "Received: from submission (address withheld)\r\n\tby h.example with ESMTPSA id ID\r\n\tfor <a@b.example>;\r\n\t" },
	{ { .helo = "x", .is_local = true, .uid = 1000, .protocol = "ESMTP" },
	  "Received: from local (uid 1000)\r\n\tby h.example with ESMTP id ID;\r\n\t" },
};

static void the_field_says_who_how_and_when(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct trace trace = rows[i].trace;
		stralloc out = { 0 };
		trace.hostname = "h.example";
		trace.id = "ID";
		CHECK(trace_append(&out, &trace) && text_append_nul(&out));
		CHECK(!strncmp(out.s, rows[i].start, strlen(rows[i].start)));
		if (strncmp(out.s, rows[i].start, strlen(rows[i].start)))
			printf("# %s\n", out.s);
		CHECK(!strcmp(out.s + out.len - 2, "\r\n"));
		stralloc_free(&out);
	}
}

static void what_is_missing_is_added_and_nothing_else(void)
{
	struct trace trace = { .hostname = "h.example", .id = "ID" };
	struct header header = { .fields = HEADER_DATE };
	stralloc out = { 0 };

	CHECK(trace_append_missing(&out, &trace, &header, "a@b.example") && text_append_nul(&out));
	CHECK_STRING(out.s, "From: <a@b.example>\r\nMessage-ID: <ID@h.example>\r\n");
	stralloc_free(&out);
}

static const struct { enum reply reply; const char *words, *text; } replies[] = {
	{ SAY_OK, NULL, "250 2.0.0 ok\r\n" },
	{ SAY_QUEUED, "ID", "250 2.0.0 queued as ID\r\n" },
	{ SAY_HELO, "h\nA\nB", "250-h\r\n250-A\r\n250 B\r\n" },
	{ SAY_VERIFIED, "<a>\n<b>", "250-2.1.5 <a>\r\n250 2.1.5 <b>\r\n" },
	{ SAY_REJECTED, "no\r\x01way", "550 5.7.1 no??way\r\n" },
	{ SAY_TIMEOUT, NULL, "421 4.4.2 h.example waited too long\r\n" },
};

static void replies_have_code_and_enhanced_code_in_each_line(void)
{
	char out[1024];

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		size_t length = reply_format(out, sizeof out, replies[i].reply, replies[i].words, "h.example");
		CHECK(length == strlen(replies[i].text));
		CHECK_STRING(out, replies[i].text);
	}
}

int main(void)
{
	UNIT_RUN(the_field_says_who_how_and_when);
	UNIT_RUN(what_is_missing_is_added_and_nothing_else);
	UNIT_RUN(replies_have_code_and_enhanced_code_in_each_line);
	return unit_end();
}
