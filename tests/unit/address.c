/* Mail addresses, RFC 5321 4.1.2. */
#include "common/address.h"
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

static void paths_are_parsed(void)
{
	static const struct { const char *in, *text, *domain; size_t used; } rows[] = {
		{ "<>", "", "", 2 },
		{ "<alice@Example.ORG>", "alice@example.org", "example.org", 19 },
		{ "<Alice@example.org> SIZE=10", "Alice@example.org", "example.org", 19 },
		{ "test@sample.com", "test@sample.com", "sample.com", 15 },
		{ "test@sample.com BODY=8BITMIME", "test@sample.com", "sample.com", 15 },
		{ "<Postmaster>", "Postmaster", "", 12 },
		{ "bob", "bob", "", 3 },
		{ "<@relay.example:fred@somewhere.example>", "fred@somewhere.example", "somewhere.example", 39 },
		{ "<@a.example,@b.example:c@d.example>", "c@d.example", "d.example", 35 },
		{ "<\"quoted\"@x.org>", "quoted@x.org", "x.org", 16 },
		{ "<\"quo ted\"@x.org>", "\"quo ted\"@x.org", "x.org", 17 },
		{ "<\"a@b\"@x.org>", "\"a@b\"@x.org", "x.org", 13 },
		{ "<\"a\\\"b\\c\"@x.org>", "\"a\\\"bc\"@x.org", "x.org", 16 },
		{ "<\"\"@x.org>", "\"\"@x.org", "x.org", 10 },
		{ "<a..b@x.org>", "\"a..b\"@x.org", "x.org", 12 },
		{ "<.a@x.org>", "\".a\"@x.org", "x.org", 10 },
		{ "<a%b!c@x.org>", "a%b!c@x.org", "x.org", 13 },
		{ "<x@[192.0.2.1]>", "x@[192.0.2.1]", "[192.0.2.1]", 15 },
		{ "<x@[IPV6:2001:DB8::1]>", "x@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", 22 },
		{ "<x@under_score.example>", "x@under_score.example", "under_score.example", 23 },
		{ "<j\xc3\xb6rg@m\xc3\xbcnchen.example>", "j\xc3\xb6rg@m\xc3\xbcnchen.example", "m\xc3\xbcnchen.example", 24 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address address;
		struct why why;
		size_t used;
		printf("# %s\n", rows[i].in);
		CHECK(address_parse_path(rows[i].in, strlen(rows[i].in), &address, &used, &why) == RESULT_OK);
		CHECK_STRING(address.text, rows[i].text);
		CHECK_STRING(address.domain, rows[i].domain);
		CHECK(used == rows[i].used && address.length == strlen(rows[i].text));
	}
}

static void malformed_paths_are_refused(void)
{
	static const char *const rows[] = {
		"", "<", "<a@b", "<a@>", "<@b>", "<a@b@c>", "<a b@c>", "<a@b c>", "<a@-b>", "<a@b->", "<a@b..c>", "<a@.b>", "<a@b.>",
		"<\"a@b>", "<\"a\"b@c>", "<a@[300.0.0.1]>", "<a@[::1]>", "<a@[IPv6:192.0.2.1]>", "<a@[192.0.2.1>", "<a@[x-tag:y]>",
		"<@a:>", "<@a>", "<@a,b:c@d>", "<@a,:c@d>", "<@:c@d>", "a@b>", "<a\x01@b>", "<\"a\tb\"@c>", "<a(b)@c>", "<a,b@c>", "<a:b@c>",
		"<a@b:c>", "<a@b/c>", "< a@b>", "<a@b >", "<a;b@c>", "<a\\b@c>", "<a@b\\c>", "<a\xff@b>", "<a\xc2\x9b@b>", "<\"a\xc2\x85\"@b>", "<a\xe2\x80\xae@b>", "<a@\xff.b>", "<\xc0\xaf@b>",
		"<" A60 "aaaaa@x.org>", "<a@" A60 "aaaa.org>",
		"<\"" A60 "aaaa\\\"\"@x.org>", "<a@" A60 "." A60 "." A60 "." A60 "." A10 ">",
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address address;
		struct why why = { 0 };
		size_t used = 1;
		printf("# %s\n", rows[i]);
		CHECK(address_parse_path(rows[i], strlen(rows[i]), &address, &used, &why) == RESULT_NEVER);
		CHECK(used == 0 && *address.text == '\0' && *why.text);
	}
}

static void no_prefix_of_a_path_is_read_past_its_end(void)
{
	static const char path[] = "<@r.example,@s.example:\"a \\\" b\"@[IPv6:2001:db8::1]>";

	for (size_t length = 0; length < sizeof path - 1; length++) {
		char *exact = malloc(length ? length : 1);	/* a sanitizer sees one byte too many */
		struct address address;
		struct why why;
		size_t used;
		memcpy(exact, path, length);
		CHECK(address_parse_path(exact, length, &address, &used, &why) == RESULT_NEVER);
		free(exact);
	}
}

static void a_nul_is_refused(void)
{
	struct address address;
	struct why why;
	size_t used;

	CHECK(address_parse_path("<a\0b@c>", 7, &address, &used, &why) == RESULT_NEVER);
	CHECK(address_parse_path("<a@b\0c>", 7, &address, &used, &why) == RESULT_NEVER);
	CHECK(address_parse_path("<\"a\0b\"@c>", 9, &address, &used, &why) == RESULT_NEVER);
}

static void the_longest_local_part_fits(void)
{
	struct address address;
	struct why why;
	size_t used;
	static const char path[] = "<" A60 "aaaa@x.org>";

	CHECK(address_parse_path(path, strlen(path), &address, &used, &why) == RESULT_OK);
	CHECK(address.local_length == ADDRESS_LOCAL_MAX);
}

static void addresses_of_tables_are_whole(void)
{
	static const struct { const char *in; bool is_right; } rows[] = {
		{ "alice@example.org", true }, { "bob", true }, { "<alice@example.org>", false }, { "alice@example.org x", false },
		{ "", false }, { "@a:b@c", false }, { "\"a b\"@x.org", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address address;
		struct why why;
		CHECK((address_parse(rows[i].in, strlen(rows[i].in), &address, &why) == RESULT_OK) == rows[i].is_right);
	}
}

static void folding_gives_one_key(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "Alice@Example.ORG", "alice@example.org" },
		{ "\"Alice\"@example.org", "alice@example.org" },
		{ "\"A b\"@example.org", "\"a b\"@example.org" },
		{ "a..b@example.org", "\"a..b\"@example.org" },
		{ "\"a..b\"@example.org", "\"a..b\"@example.org" },
		{ "BOB", "bob" },
		{ "x@M\xc3\xbcnchen.example", "x@xn--mnchen-3ya.example" },
		{ "x@xn--mnchen-3ya.example", "x@xn--mnchen-3ya.example" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address address;
		struct why why;
		char out[ADDRESS_MAX + 1];
		CHECK(address_parse(rows[i].in, strlen(rows[i].in), &address, &why) == RESULT_OK);
		CHECK(address_fold(&address, out) == strlen(rows[i].out));
		CHECK_STRING(out, rows[i].out);
	}
}

static void international_domains_become_ascii(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "M\xc3\x9cNCHEN.example", "xn--mnchen-3ya.example" },
		{ "Example.ORG", "example.org" },
		{ "a_b.example", "a_b.example" },
		{ "m\xc3\xbc nchen.example", NULL }, { "m\xc3\xbc_x.example", NULL }, { "m\xc3.example", NULL }, { "", NULL }, { "a b", NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[ADDRESS_DOMAIN_MAX + 1];
		struct why why;
		enum result result = domain_to_ascii(rows[i].in, strlen(rows[i].in), out, &why);
		CHECK((result == RESULT_OK) == (rows[i].out != NULL));
		if (rows[i].out)
			CHECK_STRING(out, rows[i].out);
	}
}

static void a_domain_is_the_same_in_either_form(void)
{
	static const struct { const char *text, *name; bool is_same; } rows[] = {
		{ "b\xc3\xbc" "cher.example", "xn--bcher-kva.example", true }, { "B\xc3\x9c" "CHER.Example", "xn--bcher-kva.example", true },
		{ "XN--bcher-KVA.example", "xn--bcher-kva.example", true }, { "b\xc3\xbc" "cher.example", "bucher.example", false },
		{ "Plain.example", "plain.example", true }, { "plain.example", "plain.examples", false },
		{ "[192.0.2.1]", "[192.0.2.1]", true }, { "b\xc3.example", "b.example", false },
	};
	char out[ADDRESS_MAX + 1], local[ADDRESS_LOCAL_MAX + 40];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		CHECK(domain_is(rows[i].text, strlen(rows[i].text), rows[i].name) == rows[i].is_same);
	CHECK(address_to_ascii("j\xc3\xbcrgen@b\xc3\xbc" "cher.example", out));
	CHECK_STRING(out, "j\xc3\xbcrgen@xn--bcher-kva.example");
	CHECK(address_to_ascii("@b\xc3\xbc" "cher", out));
	CHECK_STRING(out, "@xn--bcher-kva");
	CHECK(!address_to_ascii("j\xc3\xbcrgen@plain.example", out) && !address_to_ascii("alice", out) && !address_to_ascii("x@b\xc3", out));
	for (int length = ADDRESS_LOCAL_MAX; length <= ADDRESS_LOCAL_MAX + 1; length++) {
		snprintf(local, sizeof local, "%0*d@b\xc3\xbc" "cher.example", length, 0);
		CHECK(address_to_ascii(local, out) == (length == ADDRESS_LOCAL_MAX));
	}
}

static void xtext_is_decoded(void)	/* RFC 3461 4 */
{
	static const struct { const char *in, *out; } rows[] = {
		{ "plain", "plain" }, { "a+2Bb+3Dc", "a+b=c" }, { "", "" }, { "+20", " " },
		{ "a+2", NULL }, { "a+", NULL }, { "a+ZZ", NULL }, { "a=b", NULL }, { "a b", NULL }, { "a+00", NULL }, { "a+0D+0A", NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char out[32];
		size_t length;
		bool is_right = xtext_decode(rows[i].in, strlen(rows[i].in), out, &length);
		CHECK(is_right == (rows[i].out != NULL));
		if (is_right)
			CHECK(length == strlen(rows[i].out) && memcmp(out, rows[i].out, length) == 0);
	}
}

int main(void)
{
	UNIT_RUN(paths_are_parsed);
	UNIT_RUN(malformed_paths_are_refused);
	UNIT_RUN(no_prefix_of_a_path_is_read_past_its_end);
	UNIT_RUN(a_nul_is_refused);
	UNIT_RUN(the_longest_local_part_fits);
	UNIT_RUN(addresses_of_tables_are_whole);
	UNIT_RUN(folding_gives_one_key);
	UNIT_RUN(international_domains_become_ascii);
	UNIT_RUN(a_domain_is_the_same_in_either_form);
	UNIT_RUN(xtext_is_decoded);
	return unit_end();
}
