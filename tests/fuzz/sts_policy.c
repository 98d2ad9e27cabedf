/* link: stsd/policy.o */
/* A policy from anybody's host: its patterns are bounded and plain, and what is written of it is read as the same. */
#include "fuzz.h"
#include "common/address.h"
#include "stsd/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy policy, again;
	stralloc text = { 0 };
	struct why why = { 0 };

	if (policy_parse((const char *)data, size, &policy, &why) != RESULT_OK) {
		MUST(why.text[0]);
		return 0;
	}
	MUST(policy.patterns.len <= WIRE_STS_PATTERNS_MAX && text_is_printable(policy.patterns.s, policy.patterns.len));
	MUST(policy.max_age_seconds <= POLICY_AGE_MAX_SECONDS && (policy.mode == STS_NONE || policy.patterns.len));
	MUST(policy_append_text(&policy, &text));
	MUST(policy_parse(text.s, text.len, &again, &why) == RESULT_OK);
	MUST(again.mode == policy.mode && again.max_age_seconds == policy.max_age_seconds && again.patterns.len == policy.patterns.len);
	MUST(!policy.patterns.len || !memcmp(again.patterns.s, policy.patterns.s, policy.patterns.len));
	stralloc_free(&text);
	policy_free(&policy);
	policy_free(&again);
	return 0;
}
