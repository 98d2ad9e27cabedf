/* Outcomes: see outcome.h. */
#include "outcome.h"
#include "common/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void outcome_set(struct outcome *outcome, enum delivery_verdict verdict, const char *status, const char *format, ...)
{
	char words[WIRE_WORDS_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	for (char *at = words; (at = strpbrk(at, "\n\t")) != NULL;)
		*at = ' ';
	text_clean(words, strlen(words), '?');
	outcome_free(outcome);
	outcome->verdict = verdict;
	snprintf(outcome->status, sizeof(outcome->status), "%s", status);
	outcome->words = strdup(words);
}

static int weight(enum delivery_verdict verdict)
{
	switch (verdict) {
	case DELIVERY_DEFERRED:  return 4;
	case DELIVERY_FAILED:    return 3;
	case DELIVERY_FORWARDED: return 2;
	case DELIVERY_DELIVERED:
	case DELIVERY_RELAYED:   return 1;
	default:                 return 0;
	}
}

void outcome_merge(struct outcome *into, struct outcome *from)
{
	if (weight(from->verdict) > weight(into->verdict)) {
		outcome_free(into);
		*into = *from;
		*from = (struct outcome){ 0 };
	}
	outcome_free(from);
}

void outcome_free(struct outcome *outcome)
{
	free(outcome->words);
	*outcome = (struct outcome){ 0 };
}

void outcome_of_trouble(struct outcome *outcome, const struct why *why)
{
	const char *status = "4.2.0";

	if (why->errno_value == ENOSPC)
		status = "4.3.1";
	else if (why->errno_value == EDQUOT)
		status = "4.2.2";
	outcome_set(outcome, DELIVERY_DEFERRED, status, "unable to %s", why->text);
}
