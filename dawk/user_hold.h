/* dawk user hold, release, held: accounts whose mail smtpd does not take (common/held.h). Used by user.c. */
#ifndef DAWK_USER_HOLD_H
#define DAWK_USER_HOLD_H

#include "common/configuration.h"

/* ARGV[1] is the verb. -1: none of these three; else it was done, or said why not: the exit code. */
int user_hold_command(const struct configuration *conf, int argc, char **argv);

/* For `dawk status`: a line for each held account, or members of a JSON array. Says nothing where it may not look. */
void user_hold_report(const struct configuration *conf, bool is_json);

#endif
