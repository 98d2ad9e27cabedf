/* link: stsd/facts_file.o */
/* A file of facts, as a disk may give it back: each field lies inside, and is plain. */
#include "fuzz.h"
#include "stsd/facts_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *at = NULL;
	struct fact fact;
	size_t i;

	if (!facts_file_is_whole(text, size))
		return 0;
	while (facts_file_next(text, size, &at, &fact)) {
		MUST(fact.count > 0 && at > text && at <= text + size);
		for (i = 0; i < FACT_FIELDS; i++) {
			MUST(fact.field[i].at >= text && fact.field[i].at + fact.field[i].length <= text + size);
			MUST(text_is_printable(fact.field[i].at, fact.field[i].length));
		}
	}
	return 0;
}
