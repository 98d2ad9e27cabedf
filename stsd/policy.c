#include "policy.h"

#include "common/address.h"
#include <string.h>

struct parse {
	struct policy *policy;
	bool has_version, has_mode, has_age;
};

static enum result refuse(struct why *why, const char *field, const char *value, size_t length)
{
	return why_set(why, RESULT_NEVER, "the policy's %s is wrong: %.*s", field, (int)(length > 60 ? 60 : length), value);
}

static bool is_word(const char *value, size_t length, const char *word)
{
	return length == strlen(word) && !memcmp(value, word, length);
}

static enum result take_version(struct parse *parse, const char *value, size_t length, struct why *why)
{
	if (parse->has_version)
		return RESULT_OK;
	parse->has_version = true;
	return is_word(value, length, "STSv1") ? RESULT_OK : refuse(why, "version", value, length);
}

static enum result take_mode(struct parse *parse, const char *value, size_t length, struct why *why)
{
	static const struct { const char *word; enum sts_verdict mode; } modes[] = {
		{ "none", STS_NONE }, { "testing", STS_TESTING }, { "enforce", STS_ENFORCE },
	};
	size_t i;

	if (parse->has_mode)
		return RESULT_OK;
	for (i = 0; i < sizeof modes / sizeof *modes; i++)
		if (is_word(value, length, modes[i].word)) {
			parse->policy->mode = modes[i].mode;
			parse->has_mode = true;
			return RESULT_OK;
		}
	return refuse(why, "mode", value, length);
}

/* 1*10DIGIT */
static enum result take_age(struct parse *parse, const char *value, size_t length, struct why *why)
{
	uint64_t seconds;

	if (parse->has_age)
		return RESULT_OK;
	if (length > 10 || !text_to_number(value, length, &seconds))
		return refuse(why, "max_age", value, length);
	parse->policy->max_age_seconds = (uint32_t)(seconds < POLICY_AGE_MAX_SECONDS ? seconds : POLICY_AGE_MAX_SECONDS);
	parse->has_age = true;
	return RESULT_OK;
}

static enum result take_mx(struct parse *parse, const char *value, size_t length, struct why *why)
{
	stralloc *patterns = &parse->policy->patterns;
	size_t star = length > 2 && !memcmp(value, "*.", 2) ? 2 : 0;

	if (!domain_is_valid(value + star, length - star))
		return refuse(why, "mx", value, length);
	if (patterns->len + 1 + length > WIRE_STS_PATTERNS_MAX)
		return why_set(why, RESULT_NEVER, "the policy names more hosts than fit");
	if ((patterns->len && !text_append(patterns, " ", 1)) || !text_append(patterns, value, length))
		return why_set(why, RESULT_RETRY, "no memory for a policy");
	text_lower(patterns->s + patterns->len - length, length);
	return RESULT_OK;
}

static const struct field {
	const char *name;
	enum result (*take)(struct parse *parse, const char *value, size_t length, struct why *why);
} fields[] = {
	{ "version", take_version }, { "mode", take_mode }, { "mx", take_mx }, { "max_age", take_age },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_field_name(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		char c = name[i];
		bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_plain && (i == 0 || !strchr("_-.", c) || !c))
			return false;
	}
	return length > 0 && length <= 32;
}

static bool is_text(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			return false;
	return true;
}

/* "name:" *WSP value *WSP. A line of nothing is let pass: many files end in one. */
static enum result take_line(struct parse *parse, const char *line, size_t length, struct why *why)
{
	const char *colon, *value, *end;
	size_t i;

	while (length && is_blank(line[length - 1]))
		length--;
	if (!length)
		return RESULT_OK;
	colon = memchr(line, ':', length);
	if (!is_text(line, length) || !colon || !is_field_name(line, (size_t)(colon - line)))
		return why_set(why, RESULT_NEVER, "the policy has a line that is no field: %.*s", (int)(length > 60 ? 60 : length), line);
	end = line + length;
	for (value = colon + 1; value < end && is_blank(*value); value++)
		;
	for (i = 0; i < sizeof fields / sizeof *fields; i++)
		if (is_word(line, (size_t)(colon - line), fields[i].name))
			return fields[i].take(parse, value, (size_t)(end - value), why);
	return RESULT_OK;
}

static enum result judge(const struct parse *parse, struct why *why)
{
	const char *missing = !parse->has_version ? "version" : !parse->has_mode ? "mode" : !parse->has_age ? "max_age" : NULL;

	if (!missing && parse->policy->mode != STS_NONE && !parse->policy->patterns.len)
		missing = "mx";
	return missing ? why_set(why, RESULT_NEVER, "the policy has no %s", missing) : RESULT_OK;
}

enum result policy_parse(const char *text, size_t length, struct policy *policy, struct why *why)
{
	struct parse parse = { .policy = policy };
	const char *at = text, *end = text + length;
	enum result result = RESULT_OK;

	*policy = (struct policy){ .mode = STS_NONE };
	if (length > POLICY_TEXT_MAX)
		return why_set(why, RESULT_NEVER, "the policy is longer than %d bytes", POLICY_TEXT_MAX);
	while (at < end && result == RESULT_OK) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
		size_t line = (size_t)(stop - at);
		if (newline && line && at[line - 1] == '\r')
			line--;
		result = take_line(&parse, at, line, why);
		at = newline ? newline + 1 : end;
	}
	if (result == RESULT_OK)
		result = judge(&parse, why);
	if (result != RESULT_OK)
		policy_free(policy);
	return result;
}

void policy_free(struct policy *policy)
{
	stralloc_free(&policy->patterns);
	*policy = (struct policy){ .mode = STS_NONE };
}

bool policy_append_text(const struct policy *policy, stralloc *out)
{
	static const char *const modes[] = { [STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce" };
	const char *at = policy->patterns.len ? policy->patterns.s : "", *end = at + policy->patterns.len, *word;
	size_t length;

	if (!text_append_format(out, "version: STSv1\nmode: %s\n", modes[policy->mode]))
		return false;
	while (text_next_word(&at, end, &word, &length))
		if (!text_append_format(out, "mx: %.*s\n", (int)length, word))
			return false;
	return text_append_format(out, "max_age: %u\n", policy->max_age_seconds);
}
