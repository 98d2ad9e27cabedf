/* link: dawk/sendmail_header.o */
/* What sendmail takes out of a header: recipients (RFC 5322 3.4), Bcc, From. */
#include "unit.h"
#include "dawk/submit.h"

#include <string.h>

/* The recipients as one line, blanks between them. */
static const char *list(const char *text, enum result *result)
{
	static char out[1024];
	struct recipients recipients = { .domain = "here.example" };
	struct why why = { 0 };
	*result = recipients_add_list(&recipients, text, strlen(text), &why);
	out[0] = 0;
	for (size_t i = 0; i < recipients.text.len; i += strlen(recipients.text.s + i) + 1) {
		strcat(out, *out ? " " : "");
		strcat(out, recipients.text.s + i);
	}
	stralloc_free(&recipients.text);
	return out;
}

static void lists_are_read(void)
{
	static const struct { const char *text, *recipients; } rows[] = {
		{ "a@x.example", "a@x.example" },
		{ "a@x.example, b@y.example", "a@x.example b@y.example" },
		{ "root", "root@here.example" },
		{ "Alice Smith <a@x.example>", "a@x.example" },
		{ "\"Smith, Alice\" <a@x.example>, b@y.example", "a@x.example b@y.example" },
		{ "a@x.example (a, comment (nested \\) ) <no@z.example>), b@y.example", "a@x.example b@y.example" },
		{ "Friends: a@x.example, Bob <b@y.example>;, c@z.example", "a@x.example b@y.example c@z.example" },
		{ "undisclosed-recipients:;", "" },
		{ "", "" },
		{ " , ,, a@x.example,", "a@x.example" },
		{ "<@relay.example,@other.example:a@x.example>", "a@x.example" },
		{ "a@x.example,\r\n\tb@y.example", "a@x.example b@y.example" },
		{ "joe . smith @ x.example", "joe.smith@x.example" },
		{ "\"odd, one\"@x.example", "\"odd, one\"@x.example" },
		{ "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum result result;
		CHECK_STRING(list(rows[i].text, &result), rows[i].recipients);
		CHECK(result == RESULT_OK);
	}
}

static void what_is_no_address_is_refused(void)
{
	static const char *const rows[] = { "<>", "Name <>", "a@@x.example", "two words", "a@x.example b@y.example", "a@b@c" };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		enum result result;
		list(rows[i], &result);
		CHECK(result == RESULT_NEVER);
	}
}

static const char *rewritten(const char *head, bool drop_bcc, const char **recipients)
{
	static char out[2048], names[1024];
	struct header header;
	struct recipients found = { .domain = "here.example" };
	stralloc text = { 0 };
	header_scan(&header, head, strlen(head));
	CHECK(header_recipients(&header, head, &found, NULL) == RESULT_OK);
	CHECK(header_write(&header, head, drop_bcc, &text, NULL) == RESULT_OK);
	if (text.len)	/* an empty stralloc has no bytes to point at */
		memcpy(out, text.s, text.len);
	out[text.len] = 0;
	names[0] = 0;
	for (size_t i = 0; i < found.text.len; i += strlen(found.text.s + i) + 1) {
		strcat(names, *names ? " " : "");
		strcat(names, found.text.s + i);
	}
	*recipients = names;
	stralloc_free(&found.text);
	stralloc_free(&text);
	return out;
}

static void headers_are_read(void)
{
	static const struct { const char *head, *written, *recipients; } rows[] = {
		{ "To: a@x.example\r\nBcc: b@y.example,\r\n c@z.example\r\nSubject: s\r\n\r\nTo: no@no.example\r\n",
		  "To: a@x.example\r\nSubject: s\r\n", "a@x.example b@y.example c@z.example" },
		{ "to: a@x.example\r\nCC: b@y.example\r\n\r\n", "to: a@x.example\r\nCC: b@y.example\r\n", "a@x.example b@y.example" },
		{ "From root Mon Jan  1 00:00:00 2026\r\nTo: a@x.example\r\n\r\n", "To: a@x.example\r\n", "a@x.example" },
		{ "To: a@x.example\r\nResent-To: b@y.example\r\n\r\n", "To: a@x.example\r\nResent-To: b@y.example\r\n", "b@y.example" },
		{ "no header at all\r\n", "", "" },
		{ "X-To: no@no.example\r\nReply-To: no@no.example\r\n\r\n", "X-To: no@no.example\r\nReply-To: no@no.example\r\n", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *recipients;
		CHECK_STRING(rewritten(rows[i].head, true, &recipients), rows[i].written);
		CHECK_STRING(recipients, rows[i].recipients);
	}
}

static void a_from_field_is_made(void)
{
	static const struct { const char *name, *field; } rows[] = {
		{ "", "From: a@x.example\r\n" },
		{ "Alice Smith", "From: Alice Smith <a@x.example>\r\n" },
		{ "Smith, Alice \"Al\"", "From: \"Smith, Alice \\\"Al\\\"\" <a@x.example>\r\n" },
		{ "Z\xc3\xbc", "From: =?UTF-8?Q?=5A=C3=BC?= <a@x.example>\r\n" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		stralloc text = { 0 };
		CHECK(header_write_from(&text, rows[i].name, "a@x.example", NULL) == RESULT_OK);
		CHECK(text_append_nul(&text));
		CHECK_STRING(text.s, rows[i].field);
		stralloc_free(&text);
	}
}

int main(void)
{
	UNIT_RUN(lists_are_read);
	UNIT_RUN(what_is_no_address_is_refused);
	UNIT_RUN(headers_are_read);
	UNIT_RUN(a_from_field_is_made);
	return unit_end();
}
