#include "queued/scheduler.h"

enum result control_start(struct scheduler *s, struct why *why)
{
	(void)s;
	(void)why;
	return RESULT_OK;
}

void control_stop(struct scheduler *s)
{
	(void)s;
}
