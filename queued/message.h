/* A loaded message: its envelope, what each recipient's state is, and what of it is not recorded
 * yet. Loaded when it is due and there is room, freed when it is done or put off. */
#ifndef QUEUED_MESSAGE_H
#define QUEUED_MESSAGE_H

#include "common/queue.h"
#include "common/state.h"
#include "queued/record.h"

enum recipient_phase {
	PHASE_READY,		/* to be handed over */
	PHASE_PARKED,		/* its site is full: in the site's queue */
	PHASE_FLYING,		/* in a job */
	PHASE_MAKING,		/* a message has to be made from it: its forward, a part of its list */
	PHASE_DEFERRED,		/* tried in this round, to be tried again */
	PHASE_FINAL,		/* nothing left to try */
};

/* What was said last of a recipient. */
struct outcome {
	uint64_t time_us;
	char status[STATE_STATUS_MAX + 1];
	char *host, *words;		/* NUL-ended, inside this block; host "" for here */
};

struct recipient {
	uint8_t phase;			/* enum recipient_phase */
	uint8_t event;			/* enum state_event: the last result; STATE_SITES: none yet */
	bool is_reported, is_warned;	/* as the first of its group: the report of failures, the warning is made */
	bool is_list_done;		/* all parts of its list are made */
	bool was_tried;			/* an attempt of this round came back */
	uint32_t attempts;
	uint32_t job;			/* while flying */
	struct site *site;		/* while parked or flying */
	struct message *message;	/* while parked */
	struct recipient *next_parked;
	struct outcome *outcome;	/* malloc'd, NULL when nothing has to be kept */
};

/* What FRAME_FORWARD brought for one recipient, addresses one after the other, NUL-ended each; or
 * where a long list goes on. */
struct making {
	uint32_t index;
	enum state_event event;		/* STATE_FORWARD, STATE_PART */
	enum state_event result;	/* STATE_FORWARDED, STATE_DELIVERED, STATE_EXPANDED: the recipient's, once made */
	char status[STATE_STATUS_MAX + 1];
	stralloc addresses;
	uint32_t count;
	uint64_t offset;		/* of a list: where the next part begins */
	stralloc member;		/* the last member before it */
	bool is_with_programs;		/* of a list: locald's part comes after ours */
	struct making *next;
};

/* An announced message of which "made" was not read. */
struct announced {
	enum state_event event;
	uint32_t index;
	char id[QUEUE_ID_LENGTH + 1];
	uint64_t offset;
	char *member;			/* malloc'd, of a part */
};

struct message {
	char id[QUEUE_ID_LENGTH + 1];
	enum queue_place place;
	struct envelope envelope;
	struct recipient *recipients;	/* envelope.recipient_count of them */
	int fd;				/* -1: closed */
	uint32_t cursor;		/* no recipient before it is ready */
	uint32_t ready, parked, flying, making_count, deferred, final;	/* recipients in each phase */
	uint32_t attempts;		/* most of any recipient */
	uint64_t due_us;		/* the next attempt, once put off */
	uint64_t first_us;		/* the earliest time of a result; 0: none yet */
	bool has_sites;			/* the state has its "sites" line */
	bool is_end_logged;		/* its last line is written */
	bool has_state;
	bool is_success_told;		/* the report of successes is made */
	bool is_greylisted;		/* a host asked for another attempt soon */
	bool is_soon;			/* deferred because a helper was lost: tried again soon */
	bool wants_hold, wants_removal;	/* the admin's wishes, as soon as nothing is in flight */
	bool is_removed;		/* its end is a removal */
	stralloc clients;		/* who waits for that to be durable: their numbers, uint64_t each */
	bool is_stalled;		/* something failed here: tried again in a while */
	bool is_retry;			/* counts as such in scheduler */
	bool is_in_ring, is_listed;	/* listed: has lines that are not recorded, in scheduler's list */
	uint64_t lines_since_ms;
	stralloc lines;			/* state lines that are not recorded yet */
	struct making *making;
	struct child *child;		/* the message that is being made from it */
	stralloc children;		/* IDs that may be delivered once the lines are recorded */
	stralloc record_children;	/* the same, of the record under way */
	struct record record;
	bool is_recording;
	void (*recorded)(struct message *message);	/* after the record in hand is durable */
	struct scheduler *scheduler;
	uint64_t bytes;			/* of memory, about */
	uint32_t site;			/* site->hash of the last one that put a recipient off, or 0 */
	uint8_t ring;			/* which, while is_in_ring or is_held */
	struct sender *sender;
	bool is_held;			/* not in a ring: its sender has its share of that transport */
	struct message *next_in_table, *next_in_ring, *next_listed;
};

struct scheduler;
struct sender;

/* Makes a message from the file behind FD, which it takes over, and from STATE (text of its state
 * file, NULL for none). RESULT_OK; RESULT_RETRY; RESULT_PEER: not a message (see envelope_read). On
 * failure FD is closed. EXISTS tells whether a message ID is anywhere in the queue. */
enum result message_make(const char *id, enum queue_place place, int fd, const stralloc *state,
                         bool (*exists)(void *context, const char *id), void *context,
                         struct message **message, struct why *why);
void message_free(struct message *message);	/* accepts NULL; it must be in no list */

/* Moves a recipient to PHASE and keeps the counts. */
void message_set_phase(struct message *message, uint32_t index, enum recipient_phase phase);

/* A result: keeps it, adds its state line, moves the recipient to deferred or final. HOST, WORDS: LENGTH
 * bytes each. No memory: the line is missing, which at worst tries again what was done. */
struct result_words { const char *status; const char *host; size_t host_length; const char *words; size_t words_length; };
void message_set_result(struct message *message, uint32_t index, enum state_event event, uint64_t time_us,
                        const struct result_words *words);
/* Where the long list of recipient INDEX goes on: at its start when nothing is known. NULL: no memory. */
struct making *message_making(struct message *message, uint32_t index);
/* Forgets what is to be made from recipient INDEX. Harmless when there is nothing. */
void message_drop_making(struct message *message, uint32_t index);
/* Takes a final failure back: the recipient is deferred again. */
void message_reopen(struct message *message, uint32_t index, uint64_t time_us, const struct result_words *words);
/* The deferred recipients, withdrawn or tried, are ready again. */
void message_renew(struct message *message);
/* Adds a line about a message made from this one; index, event, id (offset, words of a part). */
bool message_add_line(struct message *message, const struct state_line *line);

/* Since when the message is here: its arrival, or, where that lies ahead of NOW_US because the clock was wrong then, its first
 * result. */
uint64_t message_since_us(const struct message *message, uint64_t now_us);

/* RFC 3461 4.1: does the recipient want to hear of EVENT (STATE_FAILED, STATE_DEFERRED: a delay, a success)? */
bool message_wants_report(const struct message *message, uint32_t index, enum state_event event);
/* Whom a report about the recipient goes to: owner for failures and delays, else the reverse-path; "" for the
 * null one. */
const char *message_report_target(const struct message *message, uint32_t index, enum state_event event);

/* The domain of an address, lower case as the envelope has it; "" when there is none. */
const char *address_domain(const char *address);

#endif
