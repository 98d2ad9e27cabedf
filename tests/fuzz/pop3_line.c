/* link: pop3d/command.o authd/session_commands.o authd/session_names.o authd/session_maildrop.o authd/session_sizes.o authd/session_content.o authd/digest.o */
/* POP3 lines before and after login. */
#include "authd/session_commands.h"
#include "fuzz.h"
#include "pop3d/command.h"

static void before_login(const char *bytes, size_t size)
{
	static char copy[NAME_MAX_BYTES + 1];
	const char *line, *argument;
	size_t used, length, verb, argument_length;
	bool is_skipping = false;

	while (size && line_take(bytes, size, &is_skipping, &used, &line, &length) != RESULT_RETRY) {
		MUST(used <= size && (used > 0 || is_skipping));	/* what is too long is dropped by the next call */
		if (!is_skipping) {
			line_split(line, length, &verb, &argument, &argument_length);
			MUST(verb <= length && argument_length <= length);
			fuzz_touch(argument, argument_length);
			if (credential_copy(argument, argument_length, copy, sizeof copy))
				MUST(strlen(copy) == argument_length && *copy);
		}
		bytes += used;
		size -= used;
	}
}

static void after_login(const char *bytes, size_t size)
{
	static struct input in;
	const char *line;
	size_t length;

	in = (struct input){ 0 };
	in.length = size < sizeof in.bytes ? size : sizeof in.bytes;
	memcpy(in.bytes, bytes, in.length);
	while (input_take_line(&in, &line, &length) != RESULT_RETRY)
		MUST(in.used <= in.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	before_login((const char *)data, size);
	after_login((const char *)data, size);
	return 0;
}
