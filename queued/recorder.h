/* The durability thread: every change of the queue on disk that must survive a power cut is made here (record.h), away from the
 * event loop, many at a time. */
#ifndef QUEUED_RECORDER_H
#define QUEUED_RECORDER_H

#include "common/loop.h"
#include "queued/record.h"

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
