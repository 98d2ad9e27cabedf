#include "common/log.h"
#include "common/text.h"
#include "unit.h"
#include <stdlib.h>

static void numbers_are_whole_or_refused(void)
{
	static const struct { const char *text; int is_ok; uint64_t value; } rows[] = {
		{ "0", 1, 0 }, { "18446744073709551615", 1, UINT64_MAX }, { "18446744073709551616", 0, 0 },
		{ "", 0, 0 }, { "-1", 0, 0 }, { "+1", 0, 0 }, { " 1", 0, 0 }, { "1 ", 0, 0 }, { "12a", 0, 0 }, { "007", 1, 7 },
	};
	uint64_t value;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		int is_ok = text_to_number(rows[i].text, strlen(rows[i].text), &value);
		CHECK(is_ok == rows[i].is_ok && (!is_ok || value == rows[i].value));
	}
}

/* Debian's libowfat appends bytes that were never set here: ours must not (LIBRARIES: stralloc_catulong). */
static void decimals_go_through_our_own_helper(void)
{
	stralloc text = { 0 };

	CHECK(text_append_number(&text, 18446744073709551615u) && text_append_format(&text, " %s=%d", "x", -7));
	CHECK(text_append_nul(&text));
	CHECK_STRING(text.s, "18446744073709551615 x=-7");
	stralloc_free(&text);
}

static void words_are_taken_one_by_one(void)
{
	const char line[] = "  one\ttwo   three", *at = line, *word;
	size_t length;

	CHECK(text_next_word(&at, line + strlen(line), &word, &length) && length == 3 && !memcmp(word, "one", 3));
	CHECK(text_next_word(&at, line + strlen(line), &word, &length) && length == 3 && !memcmp(word, "two", 3));
	CHECK(text_next_word(&at, line + strlen(line), &word, &length) && length == 5 && !memcmp(word, "three", 5));
	CHECK(!text_next_word(&at, line + strlen(line), &word, &length));
}

static void a_date_is_that_of_rfc_5322(void)
{
	char date[TIME_RFC5322_MAX];

	setenv("TZ", "UTC0", 1);
	CHECK(time_format_rfc5322(date, 1795300000123456) == strlen(date));
	CHECK_STRING(date, "Sat, 21 Nov 2026 22:26:40 +0000");
}

static void a_log_line_never_lies(void)
{
	struct log_line line;
	char big[4000];

	log_open("unit");
	log_start(&line, "test");
	log_text(&line, "plain", "value");
	log_text(&line, "forged", "x\nunit accepted id=1");
	log_text(&line, "quoted", "say \"hi\"");
	log_text(&line, "empty", "");
	log_number(&line, "n", 42);
	log_seconds(&line, "s", 1234);
	line.text[line.length] = 0;
	CHECK_STRING(line.text, "unit test plain=value forged=\"x\\x0aunit accepted id=1\" quoted=\"say \\\"hi\\\"\" empty=\"\" n=42 s=1.234");
	memset(big, 'a', sizeof big - 1);
	big[sizeof big - 1] = 0;
	log_text(&line, "big", big);
	log_text(&line, "bigger", big);
	CHECK(line.length <= LOG_LINE_MAX);
	line.text[line.length] = 0;
	CHECK(strstr(line.text, " cut=yes") && !strstr(line.text, "aaa"));
}

static void chance_stays_below_its_limit(void)
{
	int i, wrong = 0;

	for (i = 0; i < 10000; i++)
		wrong += random_below(7) >= 7;
	CHECK(wrong == 0 && random_below(1) == 0);
}

int main(void)
{
	UNIT_RUN(numbers_are_whole_or_refused);
	UNIT_RUN(decimals_go_through_our_own_helper);
	UNIT_RUN(words_are_taken_one_by_one);
	UNIT_RUN(a_date_is_that_of_rfc_5322);
	UNIT_RUN(a_log_line_never_lies);
	UNIT_RUN(chance_stays_below_its_limit);
	return unit_end();
}
