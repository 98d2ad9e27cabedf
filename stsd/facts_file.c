#include "facts_file.h"

#include "common/address.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

const char facts_file_head[] = "dawk-tls-facts 1\n", facts_file_end[] = "end\n";

static const char *const policy_words[TLS_FACT_POLICIES_END] = {
	[TLS_FACT_POLICY_NONE] = "no-policy-found", [TLS_FACT_POLICY_STS] = "sts", [TLS_FACT_POLICY_TLSA] = "tlsa",
};
static const char *const result_words[TLS_FACT_RESULTS_END] = {
	[TLS_FACT_SUCCESS] = "success",
	[TLS_FACT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
	[TLS_FACT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
	[TLS_FACT_CERTIFICATE_EXPIRED] = "certificate-expired",
	[TLS_FACT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
	[TLS_FACT_VALIDATION_FAILURE] = "validation-failure",
	[TLS_FACT_TLSA_INVALID] = "tlsa-invalid",
	[TLS_FACT_DNSSEC_INVALID] = "dnssec-invalid",
	[TLS_FACT_DANE_REQUIRED] = "dane-required",
	[TLS_FACT_STS_FETCH_ERROR] = "sts-policy-fetch-error",
	[TLS_FACT_STS_POLICY_INVALID] = "sts-policy-invalid",
	[TLS_FACT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
};

const char *fact_policy_word(enum tls_fact_policy policy)
{
	return policy < TLS_FACT_POLICIES_END ? policy_words[policy] : NULL;
}

const char *fact_result_word(enum tls_fact_result result)
{
	return result < TLS_FACT_RESULTS_END ? result_words[result] : NULL;
}

void facts_day(uint64_t real_us, char day[FACTS_DAY_SIZE])
{
	time_t seconds = (time_t)(real_us / 1000000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	if (!strftime(day, FACTS_DAY_SIZE, "%Y-%m-%d", &tm))
		memcpy(day, "9999-12-31", FACTS_DAY_SIZE);
}

bool facts_day_is_valid(const char *text)
{
	struct tm tm = { 0 };
	const char *end;
	size_t i;
	int day;

	if (strlen(text) != FACTS_DAY_SIZE - 1)
		return false;
	for (i = 0; i < FACTS_DAY_SIZE - 1; i++)
		if (i == 4 || i == 7 ? text[i] != '-' : text[i] < '0' || text[i] > '9')
			return false;
	end = strptime(text, "%Y-%m-%d", &tm);
	day = tm.tm_mday;
	return end && !*end && timegm(&tm) != -1 && tm.tm_mday == day;	/* February 30th would be in March */
}

static bool starts_with(const char *text, size_t length, const char *prefix)
{
	return length >= strlen(prefix) && !memcmp(text, prefix, strlen(prefix));
}

bool facts_file_is_whole(const char *text, size_t length)
{
	size_t mark = strlen(facts_file_end);

	return starts_with(text, length, facts_file_head) && length >= strlen(facts_file_head) + mark &&
	       !memcmp(text + length - mark, facts_file_end, mark) && text[length - mark - 1] == '\n';
}

static bool is_one_of(const struct fact_text *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (words[i] && text->length == strlen(words[i]) && !memcmp(text->at, words[i], text->length))
			return true;
	return false;
}

static bool parse_line(const char *line, size_t length, struct fact *fact)
{
	const char *end = line + length, *tab = memchr(line, '\t', length), *at;
	size_t i;

	if (!tab || !text_to_number(line, (size_t)(tab - line), &fact->count) || !fact->count)
		return false;
	for (i = 0, at = tab + 1; i < FACT_FIELDS; i++) {
		const char *stop = memchr(at, '\t', (size_t)(end - at));
		if (!stop != (i == FACT_FIELDS - 1))
			return false;
		if (!stop)
			stop = end;
		fact->field[i] = (struct fact_text){ at, (size_t)(stop - at) };
		if (!text_is_printable(at, fact->field[i].length))
			return false;
		at = stop + 1;
	}
	return domain_is_valid(fact->field[FACT_DOMAIN].at, fact->field[FACT_DOMAIN].length) &&
	       is_one_of(&fact->field[FACT_POLICY_TYPE], policy_words, TLS_FACT_POLICIES_END) &&
	       is_one_of(&fact->field[FACT_RESULT], result_words, TLS_FACT_RESULTS_END);
}

bool facts_file_next(const char *text, size_t length, const char **at, struct fact *fact)
{
	const char *end = text + length - strlen(facts_file_end);

	if (!*at)
		*at = text + strlen(facts_file_head);
	while (*at < end) {
		const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
		if (!newline)
			return false;
		*at = newline + 1;
		if (parse_line(line, (size_t)(newline - line), fact))
			return true;
	}
	return false;
}
