/* link: locald/forward.o locald/outcome.o locald/keeper.o locald/trace.o */
/* What ~/.forward says (locald/forward.c), what a program's end means (locald/keeper.c), and the
 * Delivered-To loop stop (locald/trace.c). */
#include "locald/forward.h"
#include "locald/keeper.h"
#include "locald/trace.h"
#include "tests/unit/unit.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Entries as "KIND:TEXT" joined by "; ", or "!" where it is refused. */
static const char *parsed(const char *text, size_t length)
{
	static const char kinds[] = { [ENTRY_ADDRESS] = 'a', [ENTRY_MAILBOX] = 'm', [ENTRY_PROGRAM] = 'p', [ENTRY_PATH] = 'f' };
	static struct forward_entry entry;
	static char out[1024];
	const char *at = text;
	struct why why;
	size_t used = 0;
	enum result result;

	out[0] = '\0';
	while ((result = forward_next(&at, text + length, &entry, &why)) == RESULT_OK)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%s%c:%s", used > 0 ? "; " : "", kinds[entry.kind], entry.text);
	return result == RESULT_END ? out : "!";
}

static void entries(void)
{
	static const struct { const char *text, *entries; } cases[] = {
		{ "", "" },
		{ "\n\n  \n", "" },
		{ "# nothing\n", "" },
		{ "# nothing", "" },
		{ "bob@example.net", "a:bob@example.net" },
		{ "bob@example.net, carol@example.org\n dave\n", "a:bob@example.net; a:carol@example.org; a:dave" },
		{ "bob@example.net\r\n", "a:bob@example.net" },
		{ "\\alice, bob@example.net", "m:alice; a:bob@example.net" },
		{ "|/usr/bin/vacation -a x", "p:/usr/bin/vacation -a x" },
		{ "\"|prog 'a, b'\", bob", "p:prog 'a, b'; a:bob" },
		{ "|\"prog a, b\"", "p:prog a, b" },
		{ "\"|prog \\\"x\\\"\"", "p:prog \"x\"" },
		{ "| prog", "p:prog" },
		{ "\"odd, name\"@example.org, bob", "a:\"odd, name\"@example.org; a:bob" },
		{ "\"o\\\"d, n\"@example.org", "a:\"o\\\"d, n\"@example.org" },
		{ "\"bob@example.org\"", "a:bob@example.org" },
		{ "/var/mail/x\n~/box\n./Maildir/", "f:/var/mail/x; f:~/box; f:./Maildir/" },
		{ "bob # not a comment", "a:bob # not a comment" },
		{ "bob, # a comment, x\ncarol", "a:bob; a:carol" },
		{ ",,bob,,", "a:bob" },
		{ "\"\", bob", "a:bob" },
		{ "|", "!" },
		{ "\"|open", "!" },
		{ ":include:/etc/passwd", "!" },
		{ "~/../other/box", "!" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STRING(parsed(cases[i].text, strlen(cases[i].text)), cases[i].entries);
}

static void bytes_that_are_no_text(void)
{
	static char text[9000];

	CHECK_STRING(parsed("a\0b", 3), "!");
	memset(text, 'x', sizeof(text));
	CHECK_STRING(parsed(text, sizeof(text)), "!");
	memset(text, ',', sizeof(text));
	CHECK_STRING(parsed(text, sizeof(text)), "");
}

/* DESIGN: 0 and 99 deliver, 75 and 111 defer, the rest of sysexits(3) and 100 fail, all else defers. */
static void exit_codes(void)
{
	static const struct { int status; enum delivery_verdict verdict; const char *code; } cases[] = {
		{ 0 << 8, DELIVERY_DELIVERED, "2.0.0" }, { 99 << 8, DELIVERY_DELIVERED, "2.0.0" },
		{ 75 << 8, DELIVERY_DEFERRED, "4.3.0" }, { 111 << 8, DELIVERY_DEFERRED, "4.3.0" },
		{ 100 << 8, DELIVERY_FAILED, "5.3.0" }, { 64 << 8, DELIVERY_FAILED, "5.3.0" },
		{ 65 << 8, DELIVERY_FAILED, "5.6.0" }, { 67 << 8, DELIVERY_FAILED, "5.1.1" },
		{ 73 << 8, DELIVERY_FAILED, "5.3.0" }, { 77 << 8, DELIVERY_FAILED, "5.7.1" }, { 78 << 8, DELIVERY_FAILED, "5.3.0" },
		{ 1 << 8, DELIVERY_DEFERRED, "4.3.0" }, { 63 << 8, DELIVERY_DEFERRED, "4.3.0" }, { 79 << 8, DELIVERY_DEFERRED, "4.3.0" },
		{ 127 << 8, DELIVERY_DEFERRED, "4.3.0" }, { 255 << 8, DELIVERY_DEFERRED, "4.3.0" }, { 9, DELIVERY_DEFERRED, "4.3.0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = { 0 };

		keeper_judge(cases[i].status, "words", &outcome);
		CHECK(outcome.verdict == cases[i].verdict);
		CHECK_STRING(outcome.status, cases[i].code);
		CHECK(strstr(outcome.words, "words") != NULL);
		outcome_free(&outcome);
	}
}

static void the_worst_outcome_counts(void)
{
	static const enum delivery_verdict order[] = { 0, DELIVERY_DELIVERED, DELIVERY_FORWARDED, DELIVERY_FAILED, DELIVERY_DEFERRED };

	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < 5; j++) {
			struct outcome into = { 0 }, from = { 0 };

			outcome_set(&into, order[i], "", "into");
			outcome_set(&from, order[j], "", "from");
			outcome_merge(&into, &from);
			CHECK(into.verdict == order[i > j ? i : j] && from.words == NULL);
			outcome_free(&into);
		}
}

static void words_stay_printable(void)
{
	struct outcome outcome = { 0 };

	outcome_set(&outcome, DELIVERY_FAILED, "5.3.0", "%s", "a\nb\tc\x1b" "d\x7f");
	CHECK_STRING(outcome.words, "a b c?d?");
	outcome_free(&outcome);
}

static bool header_has(const char *message, const char *address)
{
	static stralloc values;
	struct why why;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	bool has;

	CHECK(write(fd, message, strlen(message)) == (ssize_t)strlen(message));
	CHECK(trace_collect(fd, 0, strlen(message), &values, &why) == RESULT_OK);
	close(fd);
	has = trace_has(&values, address);
	stralloc_free(&values);
	values = (stralloc){ 0 };
	return has;
}

static void loops(void)
{
	static char large[80000];

	CHECK(header_has("Delivered-To: alice@local.example\r\n\r\n", "alice@local.example"));
	CHECK(header_has("X: y\r\nDELIVERED-TO:\t Alice@Local.Example \r\n\r\n", "alice@local.example"));
	CHECK(header_has("Delivered-To: bob@x\r\nDelivered-To: alice@x\r\n\r\n", "alice@x"));
	CHECK(header_has("Delivered-To: alice@x\n\n", "alice@x"));
	CHECK(!header_has("Delivered-To: alice@x\r\n\r\n", "alice@y"));
	CHECK(!header_has("Delivered-To: alice@x\r\n\r\n", "lice@x"));
	CHECK(!header_has("Subject: x\r\n\r\nDelivered-To: alice@x\r\n", "alice@x"));
	CHECK(!header_has("", "alice@x"));
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large + 20000, "\r\nDelivered-To: a@x\r\n", 21);
	CHECK(header_has(large, "a@x"));
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large + 70000, "\r\nDelivered-To: a@x\r\n", 21);
	CHECK(!header_has(large, "a@x"));
}

int main(void)
{
	UNIT_RUN(entries);
	UNIT_RUN(bytes_that_are_no_text);
	UNIT_RUN(exit_codes);
	UNIT_RUN(the_worst_outcome_counts);
	UNIT_RUN(words_stay_printable);
	UNIT_RUN(loops);
	return unit_end();
}
