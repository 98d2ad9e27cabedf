/* Where stsd keeps what it knows: state-directory/sts, of its own account alone. Used by stsd, tlsrpt. */
#ifndef STSD_FOLDER_H
#define STSD_FOLDER_H

#include "common/configuration.h"

struct folder {
	char path[4096];	/* of it */
	int policies, facts, sent;	/* descriptors; -1: not there */
};

/* Makes the folders where they are missing and gives them to stsd's account, when called by root: before sandbox_enter.
 * RESULT_RETRY: WHY. */
enum result folder_make(const struct configuration *conf, struct folder *folder, struct why *why);
/* Opens them. RESULT_RETRY: WHY; descriptors that could not be opened are -1. */
enum result folder_open(const struct configuration *conf, struct folder *folder, struct why *why);

#endif
