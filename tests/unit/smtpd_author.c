/* link: smtpd/author.o smtpd/header.o */
/* What the header of a submitted message says of its authors, and of what is signed (RFC 6376 3.5). */
#include "smtpd/author.h"
#include "unit.h"

static const struct {
	const char *in, *from, *sender;
	unsigned from_count, sender_count, signed_fields;
	bool is_broken;
} rows[] = {
	{ "From: a@a.example\r\nSender: b@a.example\r\n\r\nFrom: c@a.example\r\n", " a@a.example\r\n", " b@a.example\r\n", 1, 1, 0, false },
	{ "from: A\r\n <a@a.example>,\r\n\tb@a.example\r\nTo: c\r\n\r\n", " A\r\n <a@a.example>,\r\n\tb@a.example\r\n", "", 1, 0, 0, false },
	{ "FROM :a@a.example\r\nFrom: b@a.example\r\n\r\n", "a@a.example\r\n", "", 2, 0, 0, false },
	{ "From:a@a.example", "a@a.example", "", 1, 0, 0, false },
	{ "From:\r\n\r\n", "\r\n", "", 1, 0, 0, false },
	{ "Subject: x\r\n\r\n", "", "", 0, 0, 0, false },
	{ "X-From: a\r\nFrom-X: b\r\n\r\n", "", "", 0, 0, 0, false },
	{ "From: a@a.example\r\nno field\r\nFrom: b@a.example\r\n\r\n", " a@a.example\r\n", "", 1, 0, 0, true },
	{ "From: a@a.example\r\n: x\r\n\r\n", " a@a.example\r\n", "", 1, 0, 0, true },
	{ "DKIM-Signature: v=1; h=from:date:message-id; b=x\r\n\r\n", "", "", 0, 0, HEADER_FROM | HEADER_DATE | HEADER_MESSAGE_ID, false },
	{ "DKIM-Signature: v=1; h = From : To :\r\n\tDate ; b=x\r\n\r\n", "", "", 0, 0, HEADER_FROM | HEADER_DATE, false },
	{ "DKIM-Signature: bh=date; x=date:message-id; b=x;h=to\r\n\r\n", "", "", 0, 0, 0, false },
	{ "DKIM-Signature: h=to:date\r\nX: y\r\n\r\n", "", "", 0, 0, HEADER_DATE, false },
	{ "DKIM-Signature: h=to:\r\n message-id", "", "", 0, 0, HEADER_MESSAGE_ID, false },
	{ "DKIM-Signature: h=to\r\nDKIM-Signature: h=date\r\n\r\n", "", "", 0, 0, HEADER_DATE, false },
	{ "DKIM-Signature: h=date-of-something-long:dat:dated\r\n\r\n", "", "", 0, 0, 0, false },
	{ "X-DKIM-Signature: h=date\r\n\r\nDKIM-Signature: h=date\r\n", "", "", 0, 0, 0, false },
};

static void check(size_t i, size_t step)
{
	struct author author = { .field = 0 };
	struct header header;
	size_t length = strlen(rows[i].in);

	header_start(&header);
	author_watch(&author, &header);
	for (size_t at = 0; at < length; at += step)
		header_feed(&header, rows[i].in + at, step < length - at ? step : length - at);
	header_close(&header);
	CHECK(author.from_count == rows[i].from_count);
	CHECK(author.sender_count == rows[i].sender_count);
	CHECK(author.signed_fields == rows[i].signed_fields);
	CHECK(header.is_broken == rows[i].is_broken);
	CHECK(author.from.len == strlen(rows[i].from) && !memcmp(author.from.s ? author.from.s : "", rows[i].from, author.from.len));
	CHECK(author.sender.len == strlen(rows[i].sender) && !memcmp(author.sender.s ? author.sender.s : "", rows[i].sender, author.sender.len));
	author_free(&author);
}

static void authors_and_signed_fields_are_seen_however_the_header_is_split(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t step = 1; step < 30; step++)
			check(i, step);
}

static void a_field_is_kept_up_to_its_limit(void)
{
	struct author author = { .field = 0 };
	struct header header;
	char line[1000];

	memset(line, 'x', sizeof line);
	memcpy(line, " x", 2);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	header_start(&header);
	author_watch(&author, &header);
	header_feed(&header, "From: a\r\n", 9);
	for (int i = 0; i < 100; i++)
		header_feed(&header, line, sizeof line);
	CHECK(author.is_too_long && author.from.len <= AUTHOR_FIELD_MAX);
	author_free(&author);
}

int main(void)
{
	UNIT_RUN(authors_and_signed_fields_are_seen_however_the_header_is_split);
	UNIT_RUN(a_field_is_kept_up_to_its_limit);
	return unit_end();
}
