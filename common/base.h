/* Which folder a process that works on a mailbox is let into. Used by locald and authd. */
#ifndef COMMON_BASE_H
#define COMMON_BASE_H

#include "configuration.h"
#include <stdbool.h>

enum { BASE_SIZE = 4096 };

/* Does PATH lie below DIRECTORY? */
bool path_is_below(const char *path, const char *directory);
/* `mailboxes` where PATH lies below it, else the folder above it. OUT: BASE_SIZE bytes. */
void base_of_mailbox(const struct configuration *conf, const char *path, char *out);

#endif
