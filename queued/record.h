/* The durability thread: every change of the queue on disk that must survive a power cut is made
 * here, away from the event loop, many at a time. A record is one change of one message, in one
 * order: state lines, then the move, then the unlinking.
 *
 * Crash argument, after each step (dawk-queue(5) has the same as a table):
 *   1. Lines appended to state/ID, its mtime set, fsync; state/ fsynced when the file is new. Before
 *      it is durable the message is as it was: what was delivered since is delivered again. A torn
 *      append is passed over by readers (state.h). A state beside a message still in new/ is valid.
 *   2. Renamed from one place to another, then both directories fsynced, the new one first. A rename
 *      is atomic: the message is in one of them, and the state counts in either.
 *   3. Unlinked: only when nothing is owed for it any more. With a state: the directory is fsynced
 *      before the state goes, for a message that came back without its state would be delivered
 *      anew. Without one: the directory is synced with the next batch, within a second; a power cut
 *      in between delivers it again.
 *   4. The state unlinked. A crash before it leaves a state without a message, which is swept. */
#ifndef QUEUED_RECORD_H
#define QUEUED_RECORD_H

#include "common/loop.h"
#include "common/queue.h"

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
	bool is_new_state, is_failed, needs_rewrite;	/* the recorder's own */
	int fd;
	struct record *next;
	void (*done)(struct record *record);	/* from the loop; RECORD is the caller's again */
};

struct recorder;

/* Starts the thread; QUEUE's descriptors stay the caller's. Call after sandbox_enter. */
enum result recorder_start(struct loop *loop, const struct queue_directories *queue, struct recorder **recorder, struct why *why);
/* Collects RECORD; recorder_flush hands what was collected over, at the end of a turn. */
void recorder_submit(struct recorder *recorder, struct record *record);
void recorder_flush(struct recorder *recorder);
/* How many are on their way. */
size_t recorder_load(const struct recorder *recorder);
/* Finishes what was submitted (done is called for each) and ends the thread. */
void recorder_stop(struct recorder *recorder);

#endif
