/* dawk.conf: loaded whole or refused with words. */
#include "common/configuration.h"
#include "fuzz.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct configuration *conf = NULL;
	struct why why = { 0 };
	char path[64];
	int fd = fuzz_file(data, size);

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (configuration_load(path, &conf, &why) == RESULT_OK) {
		MUST(conf->domains.count > 0 && conf->hostname && conf->queue[0] == '/' && conf->retry.count > 0);
		configuration_free(conf);
	} else {
		MUST(why.text[0]);
	}
	close(fd);
	return 0;
}
