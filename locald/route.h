/* From a recipient to what has to be done for it: parts for deliverers, programs, forwards. The
 * spawner's; resolve.h is the judge. Used by locald.c. */
#ifndef LOCALD_ROUTE_H
#define LOCALD_ROUTE_H

#include "common/resolve.h"
#include "job.h"

enum result route_open(const struct configuration *conf, struct why *why);
/* Starts everything for RECIPIENT; what can't be started is reported to it. */
void route_recipient(struct recipient *recipient);
/* In a fresh child: the tables are not its business. */
void route_close(void);

#endif
