#include "base.h"

#include <stdio.h>
#include <string.h>

bool path_is_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && path[length] == '/' && path[length + 1] != '\0';
}

void base_of_mailbox(const struct configuration *conf, const char *path, char *out)
{
	const char *slash = strrchr(path, '/');

	if (path_is_below(path, conf->mailboxes))
		snprintf(out, BASE_SIZE, "%s", conf->mailboxes);
	else
		snprintf(out, BASE_SIZE, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}
