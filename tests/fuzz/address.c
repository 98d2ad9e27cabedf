/* Paths: what is taken in its one valid form must be taken again, as itself, and fold to what folds to itself. */
#include "common/address.h"
#include "common/text.h"
#include "fuzz.h"

static void check_again(const struct address *address)
{
	char folded[ADDRESS_MAX + 1], twice[ADDRESS_MAX + 1];
	struct address again;
	struct why why = { 0 };
	size_t length = address_fold(address, folded);

	MUST(address_parse(address->text, address->length, &again, &why) == RESULT_OK);
	MUST(!strcmp(again.text, address->text) && again.local_length == address->local_length);
	MUST(length == strlen(folded));
	MUST(address_parse(folded, length, &again, &why) == RESULT_OK);
	MUST(address_fold(&again, twice) == length && !strcmp(folded, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char ascii[ADDRESS_DOMAIN_MAX + 1], *decoded = malloc(size + 1);
	struct address address;
	struct why why = { 0 };
	size_t used, length;

	if (address_parse_path(text, size, &address, &used, &why) == RESULT_OK) {
		MUST(used <= size && address.length == strlen(address.text) && text_is_printable(address.text, address.length));
		if (address.length)
			check_again(&address);
	}
	if (domain_to_ascii(text, size, ascii, &why) == RESULT_OK)
		MUST(domain_is_valid(ascii, strlen(ascii)));
	if (xtext_decode(text, size, decoded, &length))
		MUST(length <= size);
	free(decoded);
	return 0;
}
