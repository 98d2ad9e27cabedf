#include "report.h"

#include "dawk/command.h"
#include <stdlib.h>
#include <string.h>

/* ---- sorting ---- */

static int compare_text(const struct fact_text *a, const struct fact_text *b)
{
	size_t least = a->length < b->length ? a->length : b->length;
	int order = least ? memcmp(a->at, b->at, least) : 0;

	return order ? order : a->length < b->length ? -1 : a->length > b->length;
}

static bool is_word(const struct fact_text *text, const char *word)
{
	return text->length == strlen(word) && !memcmp(text->at, word, text->length);
}

static bool is_success(const struct fact *fact)
{
	return is_word(&fact->field[FACT_RESULT], "success");
}

/* RFC 8460 1.1: the domain of a DANE policy is the host's. */
static bool is_tlsa(const struct fact *fact)
{
	return is_word(&fact->field[FACT_POLICY_TYPE], fact_policy_word(TLS_FACT_POLICY_TLSA));
}

static int compare_policies(const struct fact *a, const struct fact *b)
{
	int order = compare_text(&a->field[FACT_POLICY_TYPE], &b->field[FACT_POLICY_TYPE]);

	if (!order)
		order = compare_text(&a->field[FACT_POLICY], &b->field[FACT_POLICY]);
	if (!order && is_tlsa(a))
		order = compare_text(&a->field[FACT_MX], &b->field[FACT_MX]);
	return order;
}

static int compare_facts(const void *left, const void *right)
{
	const struct fact *a = left, *b = right;
	int order = compare_text(&a->field[FACT_DOMAIN], &b->field[FACT_DOMAIN]), i;

	if (!order)
		order = compare_policies(a, b);
	for (i = 0; i < FACT_FIELDS && !order; i++)	/* the same order each time */
		order = compare_text(&a->field[i], &b->field[i]);
	return order;
}

enum result facts_sort(struct facts *facts, char *text, size_t length, struct why *why)
{
	const char *at = NULL;
	struct fact fact;
	size_t count = 0;

	*facts = (struct facts){ .text = text };
	while (facts_file_next(text, length, &at, &fact))
		count++;
	facts->items = malloc((count ? count : 1) * sizeof *facts->items);
	if (!facts->items) {
		facts_free(facts);
		return why_set(why, RESULT_RETRY, "no memory for the facts");
	}
	for (at = NULL; facts->count < count && facts_file_next(text, length, &at, &fact); facts->count++)
		facts->items[facts->count] = fact;
	qsort(facts->items, facts->count, sizeof *facts->items, compare_facts);
	return RESULT_OK;
}

void facts_free(struct facts *facts)
{
	free(facts->items);
	free(facts->text);
	*facts = (struct facts){ .text = NULL };
}

bool report_next(struct report *report, const struct facts *facts, size_t *at)
{
	const struct fact *first = &facts->items[*at];
	size_t i;

	if (*at >= facts->count)
		return false;
	report->facts = first;
	report->successes = report->failures = 0;
	for (i = *at; i < facts->count && !compare_text(&facts->items[i].field[FACT_DOMAIN], &first->field[FACT_DOMAIN]); i++)
		*(is_success(&facts->items[i]) ? &report->successes : &report->failures) += facts->items[i].count;
	report->count = i - *at;
	*at = i;
	snprintf(report->domain, sizeof report->domain, "%.*s", (int)first->field[FACT_DOMAIN].length, first->field[FACT_DOMAIN].at);
	return true;
}

/* ---- JSON ---- */

static void write_string(FILE *file, const char *name, const char *value)
{
	fprintf(file, "\"%s\":", name);
	json_string(file, value, strlen(value));
}

static void write_text(FILE *file, const char *separator, const char *name, const struct fact_text *value)
{
	if (!value->length)
		return;
	fprintf(file, "%s\"%s\":", separator, name);
	json_string(file, value->at, value->length);
}

/* Lines of a policy that start with PREFIX, the rest of each. */
static void write_lines(FILE *file, const char *name, const struct fact_text *policy, const char *prefix)
{
	const char *at = policy->at, *end = at + policy->length;
	size_t skip = strlen(prefix);
	bool is_first = true;

	while (at < end) {
		const char *bar = memchr(at, '|', (size_t)(end - at)), *stop = bar ? bar : end;
		if ((size_t)(stop - at) >= skip && !memcmp(at, prefix, skip)) {
			if (is_first)
				fprintf(file, ",\"%s\":[", name);
			else
				fputc(',', file);
			json_string(file, at + skip, (size_t)(stop - at) - skip);
			is_first = false;
		}
		at = bar ? bar + 1 : end;
	}
	if (!is_first)
		fputc(']', file);
}

static void write_policy(FILE *file, const struct fact *fact)
{
	fputs("{\"policy\":{", file);
	write_text(file, "", "policy-type", &fact->field[FACT_POLICY_TYPE]);
	write_lines(file, "policy-string", &fact->field[FACT_POLICY], "");
	write_text(file, ",", "policy-domain", is_tlsa(fact) && fact->field[FACT_MX].length ? &fact->field[FACT_MX] : &fact->field[FACT_DOMAIN]);
	if (is_word(&fact->field[FACT_POLICY_TYPE], fact_policy_word(TLS_FACT_POLICY_STS)))
		write_lines(file, "mx-host", &fact->field[FACT_POLICY], "mx: ");
}

static void write_failure(FILE *file, const struct fact *fact)
{
	fputc('{', file);
	write_text(file, "", "result-type", &fact->field[FACT_RESULT]);
	write_text(file, ",", "sending-mta-ip", &fact->field[FACT_SENDING_IP]);
	write_text(file, ",", "receiving-mx-hostname", &fact->field[FACT_MX]);
	write_text(file, ",", "receiving-ip", &fact->field[FACT_RECEIVING_IP]);
	fprintf(file, ",\"failed-session-count\":%llu", (unsigned long long)fact->count);
	write_text(file, ",", "failure-reason-code", &fact->field[FACT_REASON]);
	fputc('}', file);
}

/* COUNT facts of one policy. */
static void write_group(FILE *file, const struct fact *facts, size_t count)
{
	uint64_t successes = 0, failures = 0;
	const char *separator = ",\"failure-details\":[";
	size_t i;

	for (i = 0; i < count; i++)
		*(is_success(&facts[i]) ? &successes : &failures) += facts[i].count;
	write_policy(file, facts);
	fprintf(file, "},\"summary\":{\"total-successful-session-count\":%llu,\"total-failure-session-count\":%llu}",
	        (unsigned long long)successes, (unsigned long long)failures);
	for (i = 0; i < count; i++) {
		if (is_success(&facts[i]))
			continue;
		fputs(separator, file);
		separator = ",";
		write_failure(file, &facts[i]);
	}
	fputs(failures ? "]}" : "}", file);
}

void report_write_id(const struct report *report, FILE *file)
{
	fprintf(file, "%s.%s@%s", report->day, report->domain, report->hostname);
}

static void write_head(const struct report *report, FILE *file)
{
	char *id = NULL;
	size_t length;
	FILE *memory = open_memstream(&id, &length);

	fputc('{', file);
	write_string(file, "organization-name", report->organization);
	fprintf(file, ",\"date-range\":{\"start-datetime\":\"%sT00:00:00Z\",\"end-datetime\":\"%sT23:59:59Z\"},", report->day, report->day);
	write_string(file, "contact-info", report->contact);
	if (memory) {
		report_write_id(report, memory);
		fclose(memory);
		fputc(',', file);
		write_string(file, "report-id", id);
	}
	free(id);
}

void report_write_json(const struct report *report, FILE *file)
{
	size_t at = 0;

	write_head(report, file);
	fputs(",\"policies\":[", file);
	while (at < report->count) {
		const struct fact *first = &report->facts[at];
		size_t count = 1;
		while (at + count < report->count && !compare_policies(first, first + count))
			count++;
		if (at)
			fputc(',', file);
		write_group(file, first, count);
		at += count;
	}
	fputs("]}", file);
}
