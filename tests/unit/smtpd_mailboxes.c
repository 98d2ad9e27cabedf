/* link: smtpd/mailboxes.o */
/* The addresses of From and Sender: RFC 5322 3.4, 4.4, RFC 6854, RFC 6532. */
#include "smtpd/mailboxes.h"
#include "unit.h"

#include "common/text.h"

static bool collect(void *context, const struct address *address)
{
	stralloc *out = context;

	return text_append_string(out, address->text) && text_append(out, "|", 1);
}

/* NULL: refused; then WHY holds the text. */
static const struct { const char *in, *out, *why; } rows[] = {
	/* RFC 5322 3.4, A.1 */
	{ "alice@a.example", "alice@a.example|", NULL },
	{ " Alice <alice@a.example>\r\n", "alice@a.example|", NULL },
	{ "\"Joe Q. Public\" <john.q.public@example.com>", "john.q.public@example.com|", NULL },
	{ "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>", "mary@x.test|jdoe@example.org|one@y.test|", NULL },
	{ "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>", "boss@nil.test|sysservices@example.net|", NULL },
	/* folding and comments, A.5 */
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "pete@silly.test|", NULL },
	{ "Alice\r\n <alice@a.example>", "alice@a.example|", NULL },
	{ "alice@a.example (Alice (her (own) name))", "alice@a.example|", NULL },
	{ "(a@b.example) alice@a.example", "alice@a.example|", NULL },
	{ "=?utf-8?q?ceo=40bank.example?= <alice@a.example>", "alice@a.example|", NULL },
	/* obsolete forms, 4.4, A.6 */
	{ "Joe Q. Public <john.q.public@example.com>", "john.q.public@example.com|", NULL },
	{ "Mary Smith <@node.test:mary@example.net>, , jdoe@test . example", "mary@example.net|jdoe@test.example|", NULL },
	{ "<@one.test,@two.test , : mary @ example.net>", "mary@example.net|", NULL },
	{ "john . \"q\" . public@example.com", "john.q.public@example.com|", NULL },
	{ "alice@a.example,", "alice@a.example|", NULL },
	/* quotes */
	{ "\"alice\"@a.example", "alice@a.example|", NULL },
	{ "\"al ice\"@a.example", "\"al ice\"@a.example|", NULL },
	{ "\"a\\\"b\"@a.example", "\"a\\\"b\"@a.example|", NULL },
	{ "\"al\r\n ice\"@a.example", "\"al ice\"@a.example|", NULL },
	{ "\"ceo@bank.example\" <alice@a.example>", "alice@a.example|", NULL },
	{ "\"a@b.example, c\" <alice@a.example>", "alice@a.example|", NULL },
	/* literals, UTF-8 */
	{ "alice@[192.0.2.1]", "alice@[192.0.2.1]|", NULL },
	{ "alice@[ 192.0.2.1\r\n ]", "alice@[192.0.2.1]|", NULL },
	{ "Zo\xc3\xab <zo\xc3\xab@a.example>", "zo\xc3\xab@a.example|", NULL },
	{ "[Shop] Alice <alice@a.example>", "alice@a.example|", NULL },
	/* groups, RFC 6854 */
	{ "Team: alice@a.example, Bob <bob@a.example>;", "alice@a.example|bob@a.example|", NULL },
	{ "A: a@a.example;, B: b@a.example;", "a@a.example|b@a.example|", NULL },
	{ "undisclosed-recipients:;", "", NULL },
	{ "Team (all): (nobody);", "", NULL },
	/* an address as a display name counts */
	{ "ceo@bank.example <alice@a.example>", "ceo@bank.example|alice@a.example|", NULL },
	/* without a domain */
	{ "alice", "alice|", NULL },
	{ "<alice>", "alice|", NULL },
	{ "", "", NULL },
	{ " \r\n", "", NULL },
	/* readers would differ: refused */
	{ "<a@a.example> <ceo@bank.example>", NULL, "something behind an address" },
	{ "a@a.example ceo@bank.example", NULL, "something behind an address" },
	{ "a@a.example <ceo@bank.example> x", NULL, "something behind an address" },
	{ "a@a.example b <c@d.example>", NULL, "something behind an address" },
	{ "alice@exam ple.example", NULL, "something behind an address" },
	{ "Alice Smith", NULL, "a name without an address" },
	{ "al ice@a.example", NULL, "an '@' that needs quotes" },
	{ "@a.example", NULL, "an '@' that needs quotes" },
	{ "alice@", NULL, "no domain behind an '@'" },
	{ "<>", NULL, "no address between '<' and '>'" },
	{ "Alice <al ice@a.example>", NULL, "no address between '<' and '>'" },
	{ "<alice@a.example", NULL, "an address without its '>'" },
	{ "Team: a@a.example", NULL, "a group without its ';'" },
	{ "undisclosed:", NULL, "a group without its ';'" },
	{ "A: B: a@a.example;;", NULL, "a ':' that needs quotes" },
	{ ": a@a.example;", NULL, "a ':' that needs quotes" },
	{ "a@a.example; b@a.example", NULL, "a ';' that ends no group" },
	{ "A: a@a.example; b@a.example", NULL, "something behind a group" },
	{ "\"Alice <alice@a.example>", NULL, "a character that needs quotes" },
	{ "Alice (x <alice@a.example>", NULL, "a character that needs quotes" },
	{ "Alice :) <alice@a.example>", NULL, "a character that needs quotes" },
	{ "alice@[192.0.2.1", NULL, "a bracket that do not close" },
	{ "alice@a.example\\", NULL, "a character that needs quotes" },
	{ "al\x01ice@a.example", NULL, "a character that needs quotes" },
	{ "<@a.example alice@a.example>", NULL, "a route without its ':'" },
	{ "alice@-a.example", NULL, "" },
	{ "al\xffice@a.example", NULL, "not UTF-8" },
};

static void each_form_is_read_or_refused(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		stralloc out = { 0 };
		struct why why = { .errno_value = 0 };
		size_t count;
		enum result result = mailboxes_read(rows[i].in, strlen(rows[i].in), collect, &out, &count, &why);

		CHECK(text_append_nul(&out));
		printf("# %s: %s\n", rows[i].in, why.text);
		if (rows[i].out) {
			CHECK(result == RESULT_OK);
			CHECK_STRING(out.s, rows[i].out);
		} else {
			CHECK(result == RESULT_NEVER);
		}
		stralloc_free(&out);
	}
}

static void what_is_wrong_is_said(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		stralloc out = { 0 };
		struct why why = { .errno_value = 0 };
		size_t count;

		mailboxes_read(rows[i].in, strlen(rows[i].in), collect, &out, &count, &why);
		stralloc_free(&out);
		if (rows[i].why && !strstr(why.text, rows[i].why)) {
			printf("# %s: \"%s\", wanted \"%s\"\n", rows[i].in, why.text, rows[i].why);
			CHECK(!"the reason");
		}
	}
	CHECK(true);
}

static bool stop(void *context, const struct address *address)
{
	(void)address;
	++*(int *)context;
	return false;
}

static void the_reader_may_stop_and_is_bounded(void)
{
	static const char two[] = "a@a.example, b@a.example";
	stralloc many = { 0 }, out = { 0 };
	struct why why;
	size_t count;
	int calls = 0;

	CHECK(mailboxes_read(two, strlen(two), stop, &calls, &count, &why) == RESULT_END);
	CHECK(calls == 1 && count == 1);
	for (int i = 0; i <= MAILBOXES_MAX; i++)
		text_append_string(&many, "a@a.example,");
	CHECK(mailboxes_read(many.s, many.len, collect, &out, &count, &why) == RESULT_NEVER);
	out.len = many.len = 0;
	for (int i = 0; i < 5000; i++)
		text_append(&many, "(", 1);
	CHECK(mailboxes_read(many.s, many.len, collect, &out, &count, &why) == RESULT_NEVER);
	many.len = 0;
	for (int i = 0; i < 5000; i++)
		text_append(&many, "a", 1);
	text_append_string(&many, "@a.example");
	CHECK(mailboxes_read(many.s, many.len, collect, &out, &count, &why) == RESULT_NEVER);
	many.len -= strlen("@a.example");
	text_append_string(&many, " <b@a.example>");
	CHECK(mailboxes_read(many.s, many.len, collect, &out, &count, &why) == RESULT_OK && count == 1);
	stralloc_free(&many);
	stralloc_free(&out);
}

int main(void)
{
	UNIT_RUN(each_form_is_read_or_refused);
	UNIT_RUN(what_is_wrong_is_said);
	UNIT_RUN(the_reader_may_stop_and_is_bounded);
	return unit_end();
}
