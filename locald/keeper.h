/* The keeper of one program: the process that feeds it, listens, waits, and ends it when its time is
 * up. Acts as the program's account, but is out of reach of its signals where program.c could see to that. Used by program.c. */
#ifndef LOCALD_KEEPER_H
#define LOCALD_KEEPER_H

#include "outcome.h"
#include "trace.h"
#include <sys/types.h>

struct program_task {
	const char *command, *name, *home;
	const char *id, *sender, *recipient, *original_recipient, *extension;
	int message;			/* its content: LENGTH bytes at OFFSET */
	uint64_t offset, length;
	uint32_t timeout_seconds;
	int spawner;			/* ends here: the program is ended too */
};

/* Runs TASK to its end and fills OUTCOME. */
void keeper_run(const struct program_task *task, struct outcome *outcome);

/* What STATUS (as of waitpid) and OUTPUT mean. Pure. */
void keeper_judge(int status, const char *output, struct outcome *outcome);

#endif
