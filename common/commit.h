/* Group commit of new queue files, away from the event loop: a thread makes all files that are
 * complete at the moment durable (fsync each), then renames them from tmp/ to new/ (never
 * replacing), then fsyncs new/ once for all; then they are answered. Used by smtpd workers, also for
 * other files that wait for the disk, and by queued for reports and list parts.
 *
 * If everything stops here: before the fsync, nothing stands in new/ and nobody was told; between
 * rename and directory fsync, the message may or may not be there: the client got no answer and
 * tries again, a whole message at worst twice; after it, 250 is true.
 *
 * A directory fsync that fails: what was renamed stands whole in new/, and queued may be at it already; the worker
 * has no right to take it back. It is answered RESULT_RETRY and comes again: twice at worst, never not at all. */
#ifndef COMMON_COMMIT_H
#define COMMON_COMMIT_H

#include "loop.h"
#include "queue.h"

struct commit {
	char id[QUEUE_ID_LENGTH + 1];
	int fd;				/* of tmp/ID, complete; closed by the committer */
	void (*run)(struct commit *commit);	/* NULL: it is a message. Else it is called in the thread instead, sets result and
					 * why, and nothing is done with id and fd */
	enum result result;		/* RESULT_OK: durable in new/; RESULT_RETRY: not known to be, tmp/ID is gone; WHY */
	struct why why;
	struct commit *next;		/* the committer's own */
	void (*done)(struct commit *commit);	/* called from the loop; COMMIT is the caller's again */
};

struct committer;

/* Starts the thread; call after sandbox_enter. TMP and NEW: directory descriptors, kept by the
 * caller; TRIGGER: the FIFO's write end, or -1: each ID is written to it after its commit. */
enum result committer_start(struct loop *loop, int tmp, int new, int trigger, struct committer **committer, struct why *why);
/* Hands COMMIT over until done is called. Costs no system call while the thread is at work. */
void commit_submit(struct committer *committer, struct commit *commit);
/* How many are on their way. */
size_t committer_load(const struct committer *committer);
/* Finishes what was submitted (done is called for each), ends the thread, frees COMMITTER. */
void committer_stop(struct committer *committer);

#endif
