/* What dnsd packs: records and names never reach beyond, a name is text without surprises. */
#include "common/dns.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size, *rdata;
	char name[DNS_NAME_MAX + 1];
	struct address_ip ip;
	uint16_t preference;
	size_t length;

	while (dns_next_record(&at, end, &rdata, &length)) {
		MUST(rdata + length <= end);
		char *copy = malloc(length ? length : 1);
		memcpy(copy, rdata, length);
		if (dns_name_text(copy, length, name))
			MUST(strlen(name) <= DNS_NAME_MAX && !strpbrk(name, " \t\r\n\"/"));
		if (dns_mx(copy, length, &preference, name))
			MUST(strlen(name) <= DNS_NAME_MAX);
		if (dns_ip(copy, length, &ip)) {
			dns_reverse_name(&ip, name);
			MUST(strlen(name) <= DNS_NAME_MAX);
		}
		free(copy);
	}
	return 0;
}
