/* The scheduler: one process in one event loop that owns the queue. What its files share:
 *
 *   scheduler.c  start, end, the wait for what is due
 *   scan.c       what lies on disk at the start, what came new, what is left over
 *   load.c       a message enters: from disk to struct message
 *   sender.c     whom a message is from, and what share is left to him
 *   dispatch.c   who is next: fair among messages and sites
 *   transport.c  the pipes to the programs that deliver
 *   remote.c     next hops and their sites: where, how many at a time, not now
 *   advance.c    what happens next to a message: try, make, report, put off, end
 *   child.c      messages made from messages: child_making.c forwards and parts of lists, child_report.c reports
 *   control.c    the admin's commands, control_walk.c those that look at the whole queue */
#ifndef QUEUED_SCHEDULER_H
#define QUEUED_SCHEDULER_H

#include "common/channel.h"
#include "common/commit.h"
#include "common/configuration.h"
#include "common/log.h"
#include "common/resolve.h"
#include "queued/message.h"
#include "queued/recorder.h"
#include "queued/sender.h"
#include "queued/site.h"
#include "queued/waiting.h"

enum {
	MESSAGES_MAX = 2000,		/* loaded at a time */
	RECIPIENTS_MAX = 200000,	/* of loaded messages; one message may go over it */
	RING_MAX = 128,			/* messages with recipients to hand over, before more are loaded */
	PEEK_LEAST = 256,		/* new messages known: then they are looked through for other senders' all the same */
	PEEKS = 4,			/* of them at each step */
	PEEK_SHARE = 16,		/* messages a sender may have loaded to be let in then */
	LOADED_SHARE = 3,		/* sender_is_over: of what may be loaded */
	FLYING_SHARE = 7,		/* and of what a transport takes at a time */
	TURN_RECIPIENTS = 10,		/* of one message, before the next has its turn */
	JOB_RECIPIENTS = 100,		/* in one job at most */
	TURN_BUDGET = 256,		/* steps before the loop gets its turn */
	SCAN_SECONDS = 30,
	LINES_MS = 500,			/* results wait that long for company before they are recorded */
	STALLED_MS = 10000,		/* until what failed here (disk full) is tried again */
	ERRAND_BUCKETS = 1024,
	WATCH_SECONDS = 60,		/* between two looks for jobs without an answer */
	AWAITED_MS = 5000,		/* a helper that was lost is back by then, or not soon */
	ANSWER_SECONDS = 900,		/* beyond program-timeout, for a job to be answered */
};

/* A job a transport has: one message, some recipients. */
struct job {
	struct message *message;	/* NULL: free */
	uint32_t outstanding, generation, next_free;
	uint64_t started_ms;
	struct transport *transport;
};

/* A helper that delivers. One row each (transport.c). */
struct transport {
	const char *name;		/* the part's */
	bool is_expected;		/* its mail waits while it is away */
	bool is_up;
	uint64_t up_since_ms;
	uint64_t awaited_until_ms;	/* for the others: it waits so long, then it is deferred */
	struct timer awaited_timer;
	uint32_t limit, in_flight;
	struct channel channel;
	struct scheduler *scheduler;
};
enum { TRANSPORT_LOCAL, TRANSPORT_REMOTE, TRANSPORTS };

struct counters { uint64_t loaded, delivered, deferred, failed, done, reports; };

struct scheduler {
	const struct configuration *conf;
	struct loop *loop;
	struct queue_directories queue;
	struct recorder *recorder;
	struct committer *committer;
	struct table_directory *tables;
	struct resolver *resolver;
	uint64_t started_us;

	struct waiting_heap fresh, retry;
	struct message **table;		/* loaded messages by ID; load.c's */
	struct errand *errands[ERRAND_BUCKETS];	/* under way, by ID; errand.c's */
	uint32_t active, active_retries, active_recipients;
	bool is_retry_turn, is_overflow_turn;
	uint64_t restored;		/* states that the scan at the start has seen */
	struct ring {			/* messages with recipients to hand over, by the transport of the next one */
		struct message *first, **end;
		uint32_t count;
	} rings[TRANSPORTS];
	struct message *listed_first, **listed_end;	/* with lines to record, oldest first */
	struct site_table sites;
	struct sender_table senders;
	struct destination_table *destinations;	/* remote.c's: which site a next hop belongs to */
	struct table *routes, *site_rules;
	struct {			/* health.c's */
		struct timer timer;
		uint64_t due_ms, swept_ms;
		uint32_t probes;	/* that may still begin in this tick */
		bool has_rates;		/* some site lets only so many go in a time */
	} health;
	struct transport transports[TRANSPORTS];
	struct job *jobs;
	uint32_t job_count, job_free;

	struct turn_end turn_end;
	struct timer pump_timer, wait_timer, lines_timer, stalled_timer, scan_timer, sweep_timer, watch_timer, end_timer;
	struct watch trigger;
	char trigger_rest[QUEUE_TRIGGER_LENGTH];
	size_t trigger_length;
	bool is_lacking;		/* mail may stand in new/ that the trigger did not tell of */
	struct scan *scan_state, *scan_cur, *scan_new, *scan_tmp;	/* under way, or NULL */
	unsigned skipped_scans, end_ticks;
	bool is_ending, is_over;	/* nothing new is begun; the loop has ended */
	stralloc foreign;		/* names in the queue that are not ours, said once */
	int control_fd;
	struct watch control;
	struct control_client *clients, *gone_clients;
	uint64_t client_count;		/* ever: their numbers */
	struct control_walk *walk;	/* a retry of a domain under way, or NULL */
	struct {			/* control_walk.c's: changes among what waits, of this turn */
		struct waiting_set forgotten;
		struct waiting *due;	/* what comes in again, due now */
		size_t due_count;
		bool probes;		/* and sites that are set aside are tried at once */
	} settling;
	struct counters counters;
};

/* ---- scheduler.c ---- */

/* The part's main; queued.c opened what it needs. */
struct scheduler_gifts { struct queue_directories queue; int lock, control; };
int scheduler_run(const struct configuration *conf, const struct scheduler_gifts *gifts);
/* Adds to the waiting ones; without memory the scheduler ends, to be started afresh. */
void scheduler_add(struct scheduler *s, struct waiting_heap *heap, const struct waiting *w);
void scheduler_add_fresh(struct scheduler *s, const char *id, bool maybe_state);
/* SITE: where it waits for (site->hash), or 0. */
void scheduler_add_retry(struct scheduler *s, const char *id, uint64_t due_us, uint32_t site);
/* Asks for another turn of dispatch without delay. */
void scheduler_pump_soon(struct scheduler *s);
uint32_t scheduler_now_seconds(const struct scheduler *s);

/* ---- scan.c ---- */

enum result scan_start(struct scheduler *s, struct why *why);
/* Looks through new/ again, now. */
void scan_new_mail(struct scheduler *s);
/* A file that is not ours is left alone and named in the log once. */
void scan_say_foreign(struct scheduler *s, enum queue_place place, const char *name);
void scan_stop(struct scheduler *s);

/* ---- load.c ---- */

/* Loads the next waiting message that is due. false: there is none, or no room. */
bool load_next(struct scheduler *s);
/* The rings are full, much new mail waits: looks at some of it, and loads what is of senders with little there. false:
 * nothing to look at. */
bool load_peek(struct scheduler *s);
/* Messages that wait in overflows, of sites and senders. */
size_t load_overflowed(struct scheduler *s);
/* Spreads IDs over buckets. */
uint32_t load_hash(const char *id);
struct message *load_find(const struct scheduler *s, const char *id);
/* Drops a loaded message, which has nothing to record and is not in flight. */
void load_drop(struct scheduler *s, struct message *m);
/* Calls EACH for every loaded message, which may drop it. */
void load_each(struct scheduler *s, void (*each)(struct scheduler *s, struct message *m));
/* Opens m->fd when it is closed. false: not now (logged). */
bool load_reopen(struct scheduler *s, struct message *m);
/* Where message ID lies, of new, cur, hold, corrupt; QUEUE_PLACES: nowhere. */
enum queue_place load_place_of(struct scheduler *s, const char *id);

/* ---- dispatch.c ---- */

void dispatch_start(struct scheduler *s);
/* Loads and hands over as much as limits allow; called at the end of each turn. */
void dispatch_pump(struct scheduler *s);
/* Puts M among those with recipients to hand over. */
void dispatch_add(struct scheduler *s, struct message *m);
/* Takes M, which goes, out of where messages wait for their turn. */
void dispatch_forget(struct scheduler *s, struct message *m);
/* Takes M's parked and ready recipients out of everything (for hold and remove). */
void dispatch_withdraw(struct scheduler *s, struct message *m);
/* COUNT recipients of M are on their way by transport WHICH, or (-COUNT) are not any more: others of its sender's that were held
 * back may come. */
void dispatch_count_flying(struct scheduler *s, struct message *m, int which, int32_t count);
/* R is in flight at its site no more: who waits there is next. */
void dispatch_leave_site(struct scheduler *s, struct recipient *r);
/* A recipient's result: logged, counted, kept. */
void dispatch_take_result(struct scheduler *s, struct message *m, uint32_t index, enum state_event event, const struct result_words *words);
/* A result from here: as if a transport had said it. */
void dispatch_result(struct scheduler *s, struct message *m, uint32_t index, enum state_event event,
                     const char *status, const char *words);
void dispatch_result_from(struct scheduler *s, struct message *m, uint32_t index, enum state_event event,
                          const char *status, const char *host, const char *words);
/* A deferral without an attempt: it lets nothing expire. */
void dispatch_defer(struct scheduler *s, struct message *m, uint32_t index, const char *status, const char *words);
bool dispatch_is_local(const struct scheduler *s, const char *address);
/* SITE's waiting ones come out again as ready: it knows where they go, or takes nobody any more. */
void dispatch_empty_site(struct scheduler *s, struct site *site);
/* SITE may have places again: its waiting ones become ready in order. */
void dispatch_next_at(struct scheduler *s, struct site *site);

/* ---- transport.c ---- */

void transport_start(struct scheduler *s);
/* Does mail for T wait for it (true also while it is up), or is it deferred? */
bool transport_is_awaited(const struct scheduler *s, const struct transport *t);
/* A pipe to PEER, one of the transports or none. */
void transport_greet(struct scheduler *s, const char *peer, int fd);
/* Hands COUNT recipients of M over, which are in flight already, with their places at their sites. */
void transport_send(struct scheduler *s, struct message *m, struct transport *t, const uint32_t *indexes, uint32_t count);

/* ---- remote.c ---- */

enum result remote_start(struct scheduler *s, struct why *why);
/* The site of a remote recipient, or one to park it at while remoted is asked. NULL: it got its result
 * (a site that is set aside, no memory). */
struct site *remote_site(struct scheduler *s, struct message *m, uint32_t index);
/* Adds to INDEXES (COUNT of them so far, MOST at most) other ready recipients of M for the same site and
 * reverse-path as recipient INDEXES[0], which share its place there. Returns the new count. */
uint32_t remote_gather(struct scheduler *s, struct message *m, uint32_t *indexes, uint32_t count, uint32_t most);
/* remoted's answer to a question; false: it answers none. */
bool remote_take_site(struct scheduler *s, struct frame *f);
/* remoted went away: what it was asked is asked again when it is back. */
void remote_lost(struct scheduler *s);
enum result remote_send_frames(struct message *m, struct transport *t, uint64_t number, const uint32_t *indexes,
                               uint32_t count, int fd);
/* The admin's wish: what is set aside for NAME, a domain in A-labels (NULL: all), is tried as soon as mail for it is due. */
void remote_probe_now(struct scheduler *s, const char *name);
/* Forgets which sites next hops belonged to, where the answer no longer holds. */
void remote_sweep(struct scheduler *s);

/* ---- health.c ---- */

void health_start(struct scheduler *s);
/* SITE, which NEXT_HOP belongs to, is used; it gets a health and its rules the first time. false: no memory. */
bool health_begin(struct scheduler *s, struct site *site, const char *next_hop);
bool health_is_aside(const struct scheduler *s, const struct site *site);
/* Defers a recipient with the words of a SITE that is set aside. */
void health_put_off(struct scheduler *s, struct message *m, uint32_t index, const struct site *site);
/* May another job go there now? Also for sites without health. false: park. */
bool health_has_room(const struct scheduler *s, const struct site *site);
/* One more is in flight at SITE. */
void health_job_started(const struct scheduler *s, struct site *site);
/* What a result says of its site's health: IS_TROUBLE: it was not reached, or lost, in remoted's words and status. */
void health_result(struct scheduler *s, struct site *site, bool is_trouble, const struct result_words *words);
/* SITE (NULL: each) is no longer set aside; a job may probe it. */
void health_probe_now(struct scheduler *s, struct site *site);
/* " key=value key=value ..", quoted as in the log, for `dawk queue sites`. ROW need not be started. */
void health_describe(const struct scheduler *s, const struct site *site, struct log_line *row);

/* ---- advance.c ---- */

/* Decides what is next for M after anything about it changed. M may be gone afterwards. */
void advance(struct scheduler *s, struct message *m);
void advance_stalled(struct scheduler *s);
void advance_unstall(struct scheduler *s, struct message *m);
/* Something failed here, for now: M is looked at again in STALLED_MS. */
void advance_stall(struct scheduler *s, struct message *m, const char *event, const struct why *why);
/* Records M's lines. RECORDED is called when they are durable; on failure M stalls and it is tried again. */
void advance_record(struct scheduler *s, struct message *m, uint64_t due_us, void (*recorded)(struct message *));
/* Records the lines of messages that go on, once they are LINES_MS old. */
void advance_flush_lines(struct scheduler *s);
/* The same for all, at the end. */
void advance_flush_all(struct scheduler *s);

/* ---- child.c ---- */

/* Starts the next forward or part that M owes (m->child is set), or gives its recipient a result, or stalls M; false: it owes
 * none, or parts alone and is to be held. */
bool child_start_making(struct scheduler *s, struct message *m);
/* Goes on with m->child after a record or a stall. */
void child_continue(struct scheduler *s, struct message *m);
/* Starts the next report of KIND (STATE_REPORT, STATE_WARNING, STATE_SUCCESS) that M owes, or stalls M; false: it owes none. */
bool child_start_report(struct scheduler *s, struct message *m, enum state_event kind);
/* Is ID a message that is being made, or waits for its parent's record? */
bool child_is_pending(const struct message *parent, const char *id);
/* The postmaster's address if recipient INDEX is that of a report to him, about which there is none; else NULL. What is made of
 * it for a forward or a list keeps it as the address that was given, so that their failures end there too. */
const char *child_postmaster(const struct scheduler *s, const struct message *m, uint32_t index);
/* The first recipient whose reports of failures go where those of recipient INDEX go. */
uint32_t child_report_group(const struct message *m, uint32_t index);
/* Did recipient INDEX fail for good in a report to the postmaster? Such mail goes to hold/. */
bool child_is_hopeless(const struct scheduler *s, const struct message *m, uint32_t index);

/* ---- control.c ---- */

enum result control_start(struct scheduler *s, struct why *why);
void control_stop(struct scheduler *s);
/* Answers client number CLIENT, if it is still there, in printf style. CODE: sysexits(3). */
void control_answer(struct scheduler *s, uint64_t client, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Answers all who wait for M: its ID and SAID. */
void control_answer_waiting(struct scheduler *s, struct message *m, int code, const char *said);
/* The answer takes its time: a row that says no more than that. */
void control_tell_busy(struct scheduler *s, uint64_t client);
/* Takes ID out of what waits, at the end of this turn, together with others: among a million each look at all takes its time. */
void control_forget(struct scheduler *s, const char *id);
/* The same, and then it waits as due now. IS_FRESH, MAYBE_STATE: as in struct waiting. */
void control_make_due(struct scheduler *s, const char *id, bool is_fresh, bool maybe_state);
/* M, which is loaded: who of it was deferred already is tried again at once, unless it is to be held. M may be gone afterwards. */
void control_retry_loaded(struct scheduler *s, struct message *m);
/* Does what the two above wished for. */
void control_settle(struct scheduler *s);
/* Makes what waits for DOMAIN due, some messages a turn, then answers. */
void control_retry_domain(struct scheduler *s, uint64_t client, const char *domain);
void control_walk_stop(struct scheduler *s);

/* ---- story.c: log lines about a message ---- */

/* EVENT, its id, WHY where there is one. */
void scheduler_log(const char *event, const char *id, const struct why *why);
/* A message made from PARENT's recipient INDEX. RECIPIENTS: of it; 0: not known any more. */
void story_made(const char *id, const char *parent, enum state_event kind, uint32_t index, uint32_t recipients);
/* The result of recipient INDEX. */
void story_result(const struct scheduler *s, const struct message *m, uint32_t index, enum state_event event, const struct result_words *words);
/* Nothing is left to do for M. */
void story_done(const struct message *m);
/* What `dawk queue remove` took away on disk while no scheduler ran. */
void story_tell_removed(struct scheduler *s);

#endif
