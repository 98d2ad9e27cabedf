/* A queued message as `dawk queue` and `dawk status` see it: envelope and state, read from disk
 * without disturbing queued. */
#ifndef DAWK_QUEUE_VIEW_H
#define DAWK_QUEUE_VIEW_H

#include "common/configuration.h"
#include "common/queue.h"
#include "common/state.h"
#include "common/text.h"

struct view {
	enum queue_place place;
	char id[QUEUE_ID_LENGTH + 1];
	uint64_t bytes;			/* of the content; of the file where that can't be read */
	struct envelope envelope;	/* zeroed when is_readable is not set */
	bool is_readable;
	struct why why;			/* why it is not */
	stralloc state;			/* its state as text, empty for none */
	stralloc done;			/* a byte a recipient: 1 when nothing is left to try */
	uint32_t left;			/* recipients that are not done */
	uint64_t due_us;		/* next attempt; 0: as soon as queued comes to it */
	bool has_last;
	struct state_line last;		/* the last line that tells of trouble; points into state */
};

/* Reads message ID in PLACE over what VIEW (zeroed before the first time) held. RESULT_OK; RESULT_END: it
 * is not there (any more). One that can't be read is RESULT_OK without is_readable. */
enum result view_read(struct view *view, const struct queue_directories *queue, enum queue_place place, const char *id, struct why *why);
/* Its state alone: state, due_us, has_last and last of VIEW. RESULT_OK, also when it has none. */
enum result view_read_trouble(struct view *view, const struct queue_directories *queue, const char *id, struct why *why);
void view_free(struct view *view);

/* Opens the places that hold messages and their states. RESULT_NEVER with WHY; errno_value EACCES: not the caller's to see. */
enum result view_open_queue(const struct configuration *conf, struct queue_directories *queue, struct why *why);
void view_close_queue(struct queue_directories *queue);

/* Where ID stands: QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD or QUEUE_CORRUPT. false: nowhere. */
bool view_find_place(const struct queue_directories *queue, const char *id, enum queue_place *place);

/* Calls EACH for every message of new, cur, hold and corrupt: sorted by time when there are at most
 * VIEW_SORT_MAX, else as the directories give them, at once. Stops when EACH returns false. */
enum { VIEW_SORT_MAX = 1000 };
enum result view_walk(const struct queue_directories *queue, bool (*each)(void *context, enum queue_place place, const char *id),
                      void *context, struct why *why);

/* "new", "deferred", "held", "corrupt" */
const char *view_place_word(enum queue_place place);

enum { VIEW_WORD_MAX = 32 };
const char *view_age(uint64_t microseconds, char out[VIEW_WORD_MAX]);	/* "45s" "12m" "3h12m" "2d4h" */
const char *view_size(uint64_t bytes, char out[VIEW_WORD_MAX]);		/* "812" "5.2k" "1.3M" */
const char *view_time(uint64_t real_us, char out[VIEW_WORD_MAX]);	/* RFC 3339, UTC: for JSON and histories */
/* STATUS HOST WORDS of a result, without an empty host. Appends. */
bool view_append_reason(stralloc *out, const struct state_line *line);

#endif
