/* Which reports went where, so that a second run sends none twice: a file a day, a line "DOMAIN URI" each. Used by tlsrpt. */
#ifndef TLSRPT_SENT_H
#define TLSRPT_SENT_H

#include "common/text.h"

struct sent { int fd; stralloc lines; };	/* fd is locked */

/* Opens DAY's file in FOLDER. RESULT_RETRY: another run is under way, or it can't be opened. */
enum result sent_open(struct sent *sent, int folder, const char *day, struct why *why);
bool sent_holds(const struct sent *sent, const char *domain, const char *uri);
/* Durable when it returns. */
enum result sent_add(struct sent *sent, const char *domain, const char *uri, struct why *why);
void sent_close(struct sent *sent);

#endif
