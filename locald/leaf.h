/* The part of a mailbox that only root can make: its directory below directories of root's. Used
 * by folders_helper.c. */
#ifndef LOCALD_LEAF_H
#define LOCALD_LEAF_H

#include "common/configuration.h"
#include "lane.h"

/* Sees to it that ACCOUNT can make the rest of the mailbox PATH itself: below `mailboxes` the
 * directory of the domain is made root's (0755) and the one of the user given to ACCOUNT (0700);
 * elsewhere the last component alone, where all above it belongs to root. Links are never
 * followed below the point where anybody but root may write. What is there already is left as it is.
 * RESULT_RETRY with WHY. */
enum result leaf_prepare(const struct configuration *conf, const char *path, bool is_mbox,
                         const struct account *account, struct why *why);
#endif
