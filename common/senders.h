/* Which addresses a user may send as: his own with any extension, aliases that lead to him, and what the table
 * senders gives him, dawk-senders(5). Used by smtpd at MAIL and at the end of DATA, and by `dawk explain`.
 *
 * senders.cdb   key: a user's folded address, or "@domain" for every user of that domain; value: what they may send as,
 *               each on a line: a folded address, "@domain", or "*" for anything
 * limits.cdb    key: the same, or "*" for every user; value: words NAME=NUMBER, NAME=off */
#ifndef COMMON_SENDERS_H
#define COMMON_SENDERS_H

#include "resolve.h"

struct senders;
enum result senders_make(const struct configuration *conf, struct table_directory *tables, struct resolver *resolver,
                         struct senders **senders, struct why *why);
void senders_free(struct senders *senders);

/* How an address came to be a user's own. */
enum sender_reason { SENDER_NOT, SENDER_SELF, SENDER_ALIAS, SENDER_TABLE };

/* May USER (folded) send as ADDRESS? RESULT_OK, *REASON: how; RESULT_END: no; RESULT_RETRY: a table can't be read.
 * Of aliases only those count that smtpd expands (at most EXPAND_MEMBERS_MAX members) and that are no mailing list, which
 * has an owner- alias: members of a list do not speak for it. An address without a domain is nobody's. */
enum result senders_judge(struct senders *senders, const char *user, const struct address *address,
                          enum sender_reason *reason, struct why *why);

/* What USER may send in an hour and a day: the configuration's values, and over them the table limits. 0: no limit. */
enum result senders_limits(struct senders *senders, const char *user, uint32_t limits[USER_LIMITS], struct why *why);

/* As the table has them: "messages-hour"; in dawk.conf they stand behind "user-". */
extern const char *const user_limit_names[USER_LIMITS];
/* Words NAME=NUMBER and NAME=off over what is in LIMITS. RESULT_NEVER: WHY says which word is wrong. */
enum result user_limits_read(const char *words, size_t length, uint32_t limits[USER_LIMITS], struct why *why);

#endif
