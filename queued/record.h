/* A change of one message in the queue, made durable: state lines, then the move, then the unlinking, in one order. Many at a
 * time share their waits. Done by the scheduler's recorder, and by `dawk queue` while no scheduler runs.
 *
 * Crash argument, after each step (dawk-queue(5) has the same as a table):
 *   1. Lines appended to state/ID, its mtime set, fsync; state/ fsynced when the file is new. Before
 *      it is durable the message is as it was: what was delivered since is delivered again. A torn
 *      append is passed over by readers (state.h). A state beside a message still in new/ is valid.
 *   2. Renamed from one place to another, then both directories fsynced, the new one first. A rename
 *      is atomic: the message is in one of them, and the state counts in either. Of a batch those that go to one place
 *      are moved and made durable before those that go to the next.
 *   3. Unlinked: only when nothing is owed for it any more. With a state: the directory is fsynced
 *      before the state goes, for a message that came back without its state would be delivered
 *      anew. Without one: the directory is synced with the next batch, within a second; a power cut
 *      in between delivers it again.
 *   4. The state unlinked. A crash before it leaves a state without a message, which is swept. */
#ifndef QUEUED_RECORD_H
#define QUEUED_RECORD_H

#include "common/queue.h"
#include "common/text.h"

enum { RECORD_OPEN_MAX = 64 };		/* records of a batch that append lines: so many states are open at a time */

struct record {
	char id[QUEUE_ID_LENGTH + 1];
	enum queue_place from, to;	/* equal: no move */
	bool unlinks;			/* the message goes, in place of a move */
	bool has_state;			/* before; kept up to date: a record that appends makes one */
	bool touches;			/* only sets the state's mtime to due_us, where there is a state */
	stralloc lines;			/* to append; the record's own, kept on failure; emptied when durable */
	uint64_t due_us;		/* the state's mtime when lines are appended; 0: unchanged */
	enum result result;		/* RESULT_OK; RESULT_RETRY: not (all) done, the same record may be tried again; WHY */
	struct why why;
	bool is_new_state, is_failed, needs_rewrite;	/* record_batch's own */
	int fd;
	struct record *next;
	void (*done)(struct record *record);	/* the recorder's: called from the loop; RECORD is the caller's again */
};

/* Who makes them: a thread, or a process that has the queue's lock. */
struct recording {
	struct queue_directories queue;
	bool is_dirty[QUEUE_PLACES];	/* unlinked from, not synced yet */
	uint64_t dirty_since_ms;
};

/* Makes RECORD ready to be done, or to be tried again. */
void record_prepare(struct record *record);
/* Does all of BATCH, linked by next and prepared; each has its own result. Durable on return but for unlinkings without a state
 * (step 3) and the times of states that are touched: a power cut costs such a message a delay. */
void record_batch(struct recording *recording, struct record *batch);
/* Is there an unlinking that is not durable yet? */
bool record_is_dirty(const struct recording *recording);
void record_sync_dirty(struct recording *recording);

#endif
