/* DKIM: canonicalisation and the field of a signature. RFC 6376. */
#include "common/dkim.h"
#include "common/base64.h"
#include "common/loop.h"
#include "unit.h"

struct gathered { struct dkim_relaxed relaxed; stralloc text; };

static void gather(struct dkim_relaxed *relaxed, const char *bytes, size_t length)
{
	text_append(&container_of(relaxed, struct gathered, relaxed)->text, bytes, length);
}

/* PIECE bytes at a time. */
static void check_body(const char *body, const char *wanted, size_t piece)
{
	struct gathered gathered = { .relaxed.put = gather };
	size_t length = strlen(body), at;

	for (at = 0; at < length; at += piece)
		dkim_relaxed_add(&gathered.relaxed, body + at, length - at < piece ? length - at : piece);
	dkim_relaxed_end(&gathered.relaxed);
	CHECK(text_append_nul(&gathered.text));
	CHECK_STRING(gathered.text.s, wanted);
	stralloc_free(&gathered.text);
}

static void bodies_are_relaxed(void)
{
	static const struct { const char *body, *wanted; } rows[] = {
		{ " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" },	/* the example of 3.4.5 */
		{ "", "" }, { "\r\n", "" }, { "\r\n\r\n", "" }, { " \t\r\n \r\n", "" }, { "  ", "" },
		{ "a", "a\r\n" }, { "a ", "a\r\n" }, { "a\r\n", "a\r\n" }, { "a\r\n  ", "a\r\n" },
		{ "\r\n\r\na", "\r\n\r\na\r\n" }, { "a\r\n \r\n\r\nb\r\n\r\n", "a\r\n\r\n\r\nb\r\n" },
		{ "\ta\t\tb\t\r\n", " a b\r\n" },
		{ "a\rb\nc\r", "a\rb\nc\r\r\n" }, { "a \r\r\n", "a \r\r\n" },	/* a CR or LF of its own ends no line */
	};
	size_t i, piece;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		for (piece = 1; piece < 4; piece++)
			check_body(rows[i].body, rows[i].wanted, piece);
	check_body(rows[0].body, rows[0].wanted, 100);
}

/* RFC 6376 3.4.4 and errata: the hash of nothing. */
static void an_empty_body_has_the_hash_of_nothing(void)
{
	struct dkim_body body;
	unsigned char hash[DKIM_HASH_SIZE];
	char text[BASE64_SIZE(DKIM_HASH_SIZE)];

	dkim_body_start(&body);
	dkim_body_add(&body, "\r\n\r\n", 4);
	dkim_body_end(&body, hash);
	base64_encode(hash, sizeof hash, text);
	CHECK_STRING(text, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

static void fields_are_relaxed(void)
{
	static const struct { const char *field, *wanted; } rows[] = {
		{ "A: X\r\n", "a:X" }, { "B : Y\t\r\n\tZ  \r\n", "b:Y Z" },	/* the example of 3.4.5 */
		{ "SUBJect:AbC", "subject:AbC" }, { "Subject:\r\n", "subject:" }, { "Subject: \r\n \r\n", "subject:" },
		{ "X: a: b :c\r\n", "x:a: b :c" }, { "To:\r\n\t<a@b.example>,\r\n <c@d.example>\r\n", "to:<a@b.example>, <c@d.example>" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		stralloc text = { 0 };
		CHECK(dkim_append_relaxed_field(&text, rows[i].field, strlen(rows[i].field)) && text_append_nul(&text));
		CHECK_STRING(text.s, rows[i].wanted);
		stralloc_free(&text);
	}
}

static const char header[] = "Received: here\r\nFROM: <a@b.example>\r\nSubject: one\r\n two\r\nTo : <c@d.example>\r\nSubject: three\r\n";
static const char *const names[] = { "From", "Subject", "Date", NULL };
static const unsigned char no_body[DKIM_HASH_SIZE] = { 0 };

static void the_field_names_what_is_signed_once_more_than_it_is_there(void)
{
	const struct dkim_wish wish = { "b.example", "s1", SIGN_ED25519, 1795300000, names };
	stralloc field = { 0 };
	unsigned char hash[DKIM_HASH_SIZE];
	char signature[64] = { 0 };

	CHECK(dkim_field_start(&wish, header, strlen(header), no_body, &field, hash));
	CHECK(dkim_field_end(&field, signature, sizeof signature) && text_append_nul(&field));
	CHECK_STRING(field.s, "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\td=b.example;\r\n\ts=s1; t=1795300000;\r\n"
	             "\th=From:From:Subject:Subject:Subject:Date;\r\n\tbh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;\r\n\tb=\r\n"
	             "\t AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n\t AAAAAAAAAAAAAA==\r\n");
	stralloc_free(&field);
}

/* RFC 6376 5.4.2: several fields of a name count from the last one up. */
static void the_hash_is_of_the_fields_from_below(void)
{
	static const char wanted[] = "from:<a@b.example>\r\nsubject:three\r\nsubject:one two\r\n"
		"dkim-signature:v=1; a=rsa-sha256; c=relaxed/relaxed; d=b.example; s=s1; t=1; h=From:From:Subject:Subject:Subject:Date; "
		"bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=";
	const struct dkim_wish wish = { "b.example", "s1", SIGN_RSA_SHA256, 1, names };
	stralloc field = { 0 };
	unsigned char hash[DKIM_HASH_SIZE], own[DKIM_HASH_SIZE];
	struct sha256_ctx context;

	CHECK(dkim_field_start(&wish, header, strlen(header), no_body, &field, hash));
	sha256_init(&context);
	sha256_update(&context, strlen(wanted), (const uint8_t *)wanted);
	sha256_digest(&context, sizeof own, own);
	CHECK(!memcmp(own, hash, sizeof own));
	stralloc_free(&field);
}

static void a_long_list_of_names_is_folded(void)
{
	static const char *const many[] = { "TLS-Report-Domain", "TLS-Report-Submitter", "Content-Type", "Message-ID", "MIME-Version", "To", NULL };
	const struct dkim_wish wish = { "b.example", "s1", SIGN_RSA_SHA256, 1, many };
	stralloc field = { 0 };
	unsigned char hash[DKIM_HASH_SIZE];
	char *at, *end;

	CHECK(dkim_field_start(&wish, "", 0, no_body, &field, hash) && text_append_nul(&field));
	CHECK(strstr(field.s, "Message-ID:\r\n\t MIME-Version:To;") != NULL);
	for (at = field.s; (end = strchr(at, '\r')); at = end + 2)
		CHECK(end - at < 78);
	stralloc_free(&field);
}

int main(void)
{
	UNIT_RUN(bodies_are_relaxed);
	UNIT_RUN(an_empty_body_has_the_hash_of_nothing);
	UNIT_RUN(fields_are_relaxed);
	UNIT_RUN(the_field_names_what_is_signed_once_more_than_it_is_there);
	UNIT_RUN(the_hash_is_of_the_fields_from_below);
	UNIT_RUN(a_long_list_of_names_is_folded);
	return unit_end();
}
