/* link: stsd/policy.o stsd/record.o stsd/facts_file.o */
#include "common/sts_client.h"
#include "stsd/facts_file.h"
#include "stsd/policy.h"
#include "stsd/record.h"
#include "unit.h"
#include <stdlib.h>

/* ---- policies ---- */

static void policies_are_taken_whole_or_refused(void)
{
	static const struct { const char *text; enum sts_verdict mode; unsigned age; const char *patterns; } rows[] = {
		{ "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n",
		  STS_ENFORCE, 604800, "mail.example.com *.example.net backupmx.example.com" },
		{ "version: STSv1\nmode: testing\nmx: MX1.example\nmax_age: 1", STS_TESTING, 1, "mx1.example" },
		{ "max_age:86400\nmx:\ta.example \t\nmode: \tenforce\nversion:STSv1\n\n", STS_ENFORCE, 86400, "a.example" },
		{ "version: STSv1\nmode: none\nmax_age: 86400\n", STS_NONE, 86400, "" },
		{ "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 9999999999\n", STS_ENFORCE, 31557600, "a.example" },
		{ "version: STSv1\nmode: enforce\nmode: none\nmx: a.example\nmax_age: 5\nmax_age: nonsense\n", STS_ENFORCE, 5, "a.example" },
		{ "version: STSv1\nmode: enforce\nx-note: anything: at all\nmx: a.example\nmax_age: 5\n", STS_ENFORCE, 5, "a.example" },
		{ "version: STSv1\nmode: none\nmx: a.example\nmax_age: 0\n", STS_NONE, 0, "a.example" },
		{ "", 0, 0, NULL },
		{ "version: STSv2\nmode: enforce\nmx: a.example\nmax_age: 5\n", 0, 0, NULL },
		{ "version: stsv1\nmode: enforce\nmx: a.example\nmax_age: 5\n", 0, 0, NULL },
		{ "mode: enforce\nmx: a.example\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmx: a.example\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.example\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: Enforce\nmx: a.example\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 12345678901\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: \n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a example\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: *\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: *.\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.*.example\nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: \nmax_age: 5\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 5\n<html>\n", 0, 0, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 5\n: x\n", 0, 0, NULL },
		{ "version: STSv1\rmode: enforce\rmx: a.example\rmax_age: 5\r", 0, 0, NULL },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct policy policy;
		struct why why = { 0 };
		int is_ok = policy_parse(rows[i].text, strlen(rows[i].text), &policy, &why) == RESULT_OK;
		CHECK(is_ok == (rows[i].patterns != NULL));
		CHECK(is_ok || why.text[0]);
		if (!is_ok || !rows[i].patterns)
			continue;
		CHECK(policy.mode == rows[i].mode && policy.max_age_seconds == rows[i].age);
		CHECK(policy.patterns.len == strlen(rows[i].patterns) && !memcmp(policy.patterns.s ? policy.patterns.s : "", rows[i].patterns, policy.patterns.len));
		policy_free(&policy);
	}
}

static void a_policy_written_is_the_one_that_is_read(void)
{
	static const char text[] = "version: STSv1\nmode: testing\nmx: a.example\nmx: *.b.example\nmax_age: 86400\n";
	struct policy policy;
	struct why why = { 0 };
	stralloc out = { 0 };

	CHECK(policy_parse(text, strlen(text), &policy, &why) == RESULT_OK);
	CHECK(policy_append_text(&policy, &out) && text_append_nul(&out));
	CHECK_STRING(out.s, text);
	stralloc_free(&out);
	policy_free(&policy);
}

static void a_policy_with_too_many_hosts_is_refused_whole(void)
{
	stralloc text = { 0 };
	struct policy policy;
	struct why why = { 0 };
	int i;

	text_append_string(&text, "version: STSv1\nmode: enforce\nmax_age: 86400\n");
	for (i = 0; i < 1000; i++)
		text_append_format(&text, "mx: host%04d.example\n", i);
	CHECK(policy_parse(text.s, text.len, &policy, &why) == RESULT_NEVER);
	text.len = 0;
	text_append_string(&text, "version: STSv1\nmode: enforce\nmax_age: 86400\nmx: a.example\n");
	while (text.len <= POLICY_TEXT_MAX)
		text_append_string(&text, "note: x\n");
	CHECK(policy_parse(text.s, text.len, &policy, &why) == RESULT_NEVER);
	stralloc_free(&text);
}

/* ---- TXT records ---- */

/* As dnsd packs them: character-strings of at most PIECE bytes. */
static size_t pack(char *out, const char *text, size_t piece)
{
	size_t length = strlen(text), put = sizeof(uint16_t), at = 0;
	uint16_t size;

	do {
		size_t part = length - at < piece ? length - at : piece;
		out[put++] = (char)part;
		memcpy(out + put, text + at, part);
		put += part;
		at += part;
	} while (at < length);
	size = (uint16_t)(put - sizeof size);
	memcpy(out, &size, sizeof size);
	return put;
}

static void records_name_the_policy_or_none(void)
{
	static const struct { const char *texts[3]; enum result result; const char *id; } rows[] = {
		{ { "v=STSv1; id=20160831085700Z;" }, RESULT_OK, "20160831085700Z" },
		{ { "v=STSv1;id=a" }, RESULT_OK, "a" },
		{ { "v=STSv1; \t id=1 ; x-y.z=some:thing ;" }, RESULT_OK, "1" },
		{ { "v=STSv1; note=x; id=12345678901234567890123456789012" }, RESULT_OK, "12345678901234567890123456789012" },
		{ { "v=spf1 -all", "v=STSv1; id=7" }, RESULT_OK, "7" },
		{ { "v=STSv1 ; id=7" }, RESULT_END, NULL }, { { "v=STSv2; id=7" }, RESULT_END, NULL },
		{ { "V=STSv1; id=7" }, RESULT_END, NULL }, { { "" }, RESULT_END, NULL },
		{ { "v=STSv1; id=7", "v=STSv1; id=8" }, RESULT_NEVER, NULL },
		{ { "v=STSv1;" }, RESULT_NEVER, NULL }, { { "v=STSv1; id=" }, RESULT_NEVER, NULL },
		{ { "v=STSv1; id=a b" }, RESULT_NEVER, NULL }, { { "v=STSv1; id=a-b" }, RESULT_NEVER, NULL },
		{ { "v=STSv1; id=123456789012345678901234567890123" }, RESULT_NEVER, NULL },
		{ { "v=STSv1; id=1; id=2" }, RESULT_NEVER, NULL }, { { "v=STSv1; id=1; nonsense" }, RESULT_NEVER, NULL },
		{ { "v=STSv1; id=1; a=b=c" }, RESULT_NEVER, NULL }, { { "v=STSv1; ID=1" }, RESULT_NEVER, NULL },
	};
	size_t i, j, piece;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		for (piece = 1; piece <= 255; piece += 127) {
			char records[2000], id[STS_ID_MAX + 1];
			size_t length = 0;
			struct why why = { 0 };
			for (j = 0; j < 3 && rows[i].texts[j]; j++)
				length += pack(records + length, rows[i].texts[j], piece);
			CHECK(record_find_policy_id(records, length, id, &why) == rows[i].result);
			if (rows[i].id)
				CHECK_STRING(id, rows[i].id);
		}
}

static void records_name_who_wants_reports(void)
{
	static const struct { const char *text; enum result result; size_t count; const char *first, *last; } rows[] = {
		{ "v=TLSRPTv1; rua=mailto:reports@example.com", RESULT_OK, 1, "mailto:reports@example.com", "mailto:reports@example.com" },
		{ "v=TLSRPTv1;rua=https://reporting.example.com/v1/tlsrpt;", RESULT_OK, 1, "https://reporting.example.com/v1/tlsrpt", "https://reporting.example.com/v1/tlsrpt" },
		{ "v=TLSRPTv1; rua=mailto:a@x.example , https://y.example/z", RESULT_OK, 2, "mailto:a@x.example", "https://y.example/z" },
		{ "v=TLSRPTv1; x=y; rua=ftp://x,mailto:b@x.example", RESULT_OK, 1, "mailto:b@x.example", "mailto:b@x.example" },
		{ "v=TLSRPTv1; rua=mailto:1@x,mailto:2@x,mailto:3@x,mailto:4@x,mailto:5@x,mailto:6@x", RESULT_OK, 5, "mailto:1@x", "mailto:5@x" },
		{ "v=TLSRPTv1; rua=ftp://x", RESULT_NEVER, 0, NULL, NULL }, { "v=TLSRPTv1; rua=", RESULT_NEVER, 0, NULL, NULL },
		{ "v=TLSRPTv1;", RESULT_NEVER, 0, NULL, NULL }, { "v=TLSRPTv2; rua=mailto:a@x", RESULT_END, 0, NULL, NULL },
		{ "v=TLSRPTv1; rua=mailto:a@x; rua=mailto:b@x", RESULT_NEVER, 0, NULL, NULL },
		{ "v=TLSRPTv1; rua=http://x.example/", RESULT_NEVER, 0, NULL, NULL },
		{ "v=TLSRPTv1; rua=mailto:a@x!10m", RESULT_NEVER, 0, NULL, NULL },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		static struct report_uris uris;
		char records[2000];
		struct why why = { 0 };
		size_t length = pack(records, rows[i].text, 255);
		CHECK(record_find_report_uris(records, length, &uris, &why) == rows[i].result);
		if (rows[i].result != RESULT_OK)
			continue;
		CHECK(uris.count == rows[i].count);
		CHECK_STRING(uris.items[0], rows[i].first);
		CHECK_STRING(uris.items[uris.count - 1], rows[i].last);
	}
}

/* ---- patterns ---- */

static void patterns_match_as_certificates_do(void)
{
	static const struct { const char *patterns, *host; int is_match; } rows[] = {
		{ "mail.example", "mail.example", 1 }, { "Mail.example", "mail.EXAMPLE", 1 }, { "mail.example", "mail.example.org", 0 },
		{ "*.example", "mail.example", 1 }, { "*.example", "a.b.example", 0 }, { "*.example", "example", 0 },
		{ "*.example", ".example", 0 }, { "a.example *.b.example", "x.b.example", 1 }, { "a.example *.b.example", "a.example", 1 },
		{ "", "a.example", 0 }, { "a.example", "", 0 }, { "*.", "a.", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		CHECK(sts_pattern_matches(rows[i].patterns, strlen(rows[i].patterns), rows[i].host) == rows[i].is_match);
}

/* ---- facts ---- */

static void facts_are_read_whole_or_not(void)
{
	static const char text[] =
		"dawk-tls-facts 1\n"
		"3\ta.example\tsts\tversion: STSv1|mode: enforce\t\tsuccess\t\t\t\n"
		"0\ta.example\tsts\t\t\tsuccess\t\t\t\n"
		"x\n"
		"1\ta.example\tsts\t\t\tno-such-result\t\t\t\n"
		"1\ta.example\tsts\t\t\tsuccess\t\t\n"
		"1\ta.example\tsts\t\t\tsuccess\t\t\t\t\n"
		"7\tb.example\ttlsa\t3 1 1 ab\tmx.b.example\ttlsa-invalid\t192.0.2.1\t2001:db8::1\tcode\n"
		"end\n";
	const char *at = NULL;
	struct fact fact;
	size_t cut, length = strlen(text);

	CHECK(facts_file_is_whole(text, length));
	CHECK(facts_file_next(text, length, &at, &fact) && fact.count == 3);
	CHECK(fact.field[FACT_POLICY].length == 28 && fact.field[FACT_REASON].length == 0);
	CHECK(facts_file_next(text, length, &at, &fact) && fact.count == 7);
	CHECK(fact.field[FACT_REASON].length == 4 && !memcmp(fact.field[FACT_RECEIVING_IP].at, "2001:db8::1", 11));
	CHECK(!facts_file_next(text, length, &at, &fact));
	for (cut = 0; cut < length; cut++)
		CHECK(!facts_file_is_whole(text, cut));
}

static void days_are_days(void)
{
	char day[FACTS_DAY_SIZE];

	facts_day(UINT64_C(1795312800) * 1000000, day);
	CHECK_STRING(day, "2026-11-22");
	CHECK(facts_day_is_valid("2026-11-22") && facts_day_is_valid("2024-02-29"));
	CHECK(!facts_day_is_valid("2026-13-01") && !facts_day_is_valid("2026-1-01") && !facts_day_is_valid("..") && !facts_day_is_valid(""));
	CHECK(!facts_day_is_valid("2026-02-30") && !facts_day_is_valid("2026-02-29") && !facts_day_is_valid("2026-04-31"));
	CHECK(!facts_day_is_valid("2026-11-223") && !facts_day_is_valid("+026-11-22") && !facts_day_is_valid("2026/11/22"));
}

int main(void)
{
	UNIT_RUN(policies_are_taken_whole_or_refused);
	UNIT_RUN(a_policy_written_is_the_one_that_is_read);
	UNIT_RUN(a_policy_with_too_many_hosts_is_refused_whole);
	UNIT_RUN(records_name_the_policy_or_none);
	UNIT_RUN(records_name_who_wants_reports);
	UNIT_RUN(patterns_match_as_certificates_do);
	UNIT_RUN(facts_are_read_whole_or_not);
	UNIT_RUN(days_are_days);
	return unit_end();
}
