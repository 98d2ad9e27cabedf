/* Which mailboxes can't go: aliases that hold for an address once its mailbox is gone may bring its mail back to it, a loop, and
 * mail for postmaster has to arrive (RFC 5321 4.5.1). Used by user.c. */
#ifndef DAWK_USER_NEEDED_H
#define DAWK_USER_NEEDED_H

#include "common/address.h"
#include "common/configuration.h"

/* By the tables in force. EX_OK: the mailbox of ADDRESS can go, or they can't be read, which `dawk update` tells; else an exit code,
 * and what to do first was said. */
int user_needed(const struct configuration *conf, const struct address *address);

#endif
