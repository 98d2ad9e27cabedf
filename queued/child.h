/* Messages made from messages: what child.c, child_making.c and child_report.c share. */
#ifndef QUEUED_CHILD_H
#define QUEUED_CHILD_H

#include "queued/scheduler.h"

/* What goes into a child, all of it known but the copy. */
struct plan {
	enum state_event kind;
	uint32_t index;
	struct making *making;
	struct making next;		/* of a list: what MAKING becomes */
	struct envelope envelope;	/* id, time and parent are filled in by open_child */
	stralloc recipients, head, tail;	/* head and tail of the content, around what is copied */
	off_t copy_at;
	uint64_t copy_length;
	char id[QUEUE_ID_LENGTH + 1];
};

void plan_free(struct plan *plan);

/* Starts what PLAN says; frees PLAN. On failure the parent stalls. */
void child_begin(struct scheduler *s, struct message *m, struct plan *plan);

/* All parts of the list are made: locald's part follows, or the recipient is done. MAKING is gone. */
void child_finish_list(struct scheduler *s, struct message *m, struct making *making);

#endif
