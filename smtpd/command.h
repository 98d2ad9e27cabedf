/* The commands of SMTP: a table of verbs, their states and handlers. */
#ifndef SMTPD_COMMAND_H
#define SMTPD_COMMAND_H

#include "session.h"

enum { COMMAND_LINE_MAX = 4096 };	/* RFC 5321 4.5.3.1.4: 512, more with each extension's parameters */

/* Runs LINE, LENGTH bytes without its line end, printable. Returns the reply, its words in
 * worker->words; SAY_NOTHING: the answer comes later (state WAITS_...) or after a chunk (IN_CHUNK). */
enum reply command_run(struct session *s, const char *line, size_t length);

/* The verb at the start of LINE as the table has it, "?" for one that is not there. For log lines. */
const char *command_name(const char *line, size_t length);

#endif
