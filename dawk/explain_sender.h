/* `dawk explain --as USER ADDRESS`: may USER, when logged in, send as ADDRESS? And how much, and is he held? */
#ifndef DAWK_EXPLAIN_SENDER_H
#define DAWK_EXPLAIN_SENDER_H

#include "common/configuration.h"

/* The exit code: 0 he may, 77 he may not. */
int explain_sender(const struct configuration *conf, const char *user, const char *address);

#endif
