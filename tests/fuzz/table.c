/* Compiled tables: whatever the file holds, a look-up and a walk answer and stay inside it. */
#include "common/table.h"
#include "fuzz.h"

static bool each(void *context, const char *key, size_t key_length, const char *value, size_t value_length)
{
	unsigned *left = context;

	fuzz_touch(key, key_length);
	fuzz_touch(value, value_length);
	return --*left > 0;
}

/* The first byte is the length of the key that is looked up, then the key, then the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct table *table = NULL;
	struct why why = { 0 };
	const char *value;
	size_t length, key_length = size ? data[0] % 32 : 0;
	unsigned left = 10000;

	if (size < 1 + key_length)
		return 0;
	if (table_open_descriptor(fuzz_file(data + 1 + key_length, size - 1 - key_length), "fuzz", &table, &why) != RESULT_OK)
		return 0;
	if (table_find(table, data + 1, key_length, &value, &length, &why) == RESULT_OK)
		fuzz_touch(value, length);
	table_walk(table, each, &left, &why);
	table_close(table);
	return 0;
}
