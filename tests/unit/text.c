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

static void what_is_shown_holds_nothing_that_a_terminal_obeys(void)
{
	static const struct { const char *text, *clean; } rows[] = {
		{ "plain ~", "plain ~" }, { "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x93\xa7 \xc2\xa0", "Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x93\xa7 \xc2\xa0" },
		{ "\x1b[31m\x7f\t", "?[31m??" }, { "\xc2\x9b" "31m", "??31m" }, { "\x9b" "31m", "?31m" },	/* C0, DEL; C1 CSI, as UTF-8 and raw */
		{ "a\xe2\x80\xae" "b", "a???b" }, { "\xe2\x81\xa6", "???" }, { "\xe2\x80\xa8", "???" }, { "\xef\xbb\xbf", "???" },
		{ "\xf3\xa0\x80\x81", "????" }, { "\xc0\xaf", "??" }, { "\xed\xa0\x80", "???" }, { "\xf4\x90\x80\x80", "????" },
		{ "\xe0\x80\xaf", "???" }, { "\xf0\x80\x80\xaf", "????" }, { "\xf5\x80\x80\x80", "????" }, { "cut \xe2\x82", "cut ??" },
		{ "", "" },
	};
	char copy[64];
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(copy, sizeof copy, "%s", rows[i].text);
		text_clean(copy, strlen(copy), '?');
		CHECK_STRING(copy, rows[i].clean);
		CHECK(text_is_shown(rows[i].text, strlen(rows[i].text)) == !strcmp(rows[i].text, rows[i].clean));
	}
	CHECK(text_is_utf8("\xc2\x9b", 2) && text_is_utf8("", 0) && !text_is_utf8("\xc2", 1) && !text_is_utf8("\xed\xa0\x80", 3));
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
	log_start(&line, "test");
	log_text(&line, "turned", "a\xc2\x9b" "b \x9b \xe2\x80\xae Z\xc3\xbcrich");
	line.text[line.length] = 0;
	CHECK_STRING(line.text, "unit test turned=\"a\\xc2\\x9bb \\x9b \\xe2\\x80\\xae Z\xc3\xbcrich\"");
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
	UNIT_RUN(what_is_shown_holds_nothing_that_a_terminal_obeys);
	UNIT_RUN(a_log_line_never_lies);
	UNIT_RUN(chance_stays_below_its_limit);
	return unit_end();
}
