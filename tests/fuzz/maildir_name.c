/* link: authd/session_names.o authd/digest.o */
/* File names of maildirs, which users and other programs choose. */
#include "authd/maildrop.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *name = (const char *)data;
	char id[MAILDROP_UIDL_MAX + 1];
	struct name_facts facts;
	size_t length, i;

	if (size == 0 || size > MAILDROP_NAME_MAX)
		return 0;
	name_parse(name, size, &facts);
	MUST(facts.unique_length <= size);
	length = name_unique_id(name, facts.unique_length, id);
	MUST(length > 0 && length <= MAILDROP_UIDL_MAX && strlen(id) == length);
	for (i = 0; i < length; i++)
		MUST(id[i] > ' ' && id[i] < 0x7f);
	return 0;
}
