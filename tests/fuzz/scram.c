/* link: remoted/scram.o */
/* What a host says in a SCRAM login: RFC 5802. A line is its first message, the next one its final one. */
#include "fuzz.h"
#include "remoted/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data, *newline = size ? memchr(bytes, '\n', size) : NULL;
	size_t first = newline ? (size_t)(newline - bytes) : size;
	char out[SCRAM_MESSAGE_MAX];
	struct scram scram;
	struct why why = { 0 };

	MUST(scram_first(&scram, "user", "abc", out));
	if (memmem(data, size, "i=", 2) && memmem(data, first, "0000", 4))
		return 0;	/* many rounds take their time */
	if (scram_final(&scram, bytes, first, "pencil", out, &why) == RESULT_OK)
		MUST(scram.has_signature && !strncmp(out, "c=biws,r=abc", 12) && strlen(out) < sizeof out);
	else
		MUST(why.text[0]);
	if (newline)
		scram_judge(&scram, newline + 1, size - first - 1, &why);
	return 0;
}
