/* Lanes and deliverers: see lane.h. */
#include "lane.h"
#include "common/log.h"
#include "deliverer_start.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BUCKETS = 256,
	TICK_MS = 5000,
	FORWARDS_MAX = 1000, PROGRAMS_MAX = 32,	/* of one recipient; forward.h bounds the honest */
};

struct deliverer {
	struct lane *lane;
	pid_t pid;
	struct channel channel;			/* closed: set aside or ending, waits to be reaped */
	struct part *first, *last;		/* in flight, in the order they were sent */
	size_t load;
	uint64_t progress_ms;			/* last answer, or when it got work after none */
	bool is_reaped;
	struct deliverer *next, **link;
};

struct lane {
	struct account account;
	char *login, *base;
	struct part *first, *last;		/* waiting */
	struct deliverer *deliverers[LANE_DELIVERERS_MAX];
	struct lane *next;			/* in its bucket */
	bool is_busy;				/* stands in the list of lanes with waiting parts */
	struct lane *next_busy;
};

static struct loop *loop;
static const struct configuration *conf;
static const struct lane_hooks *hooks;
static struct lane *buckets[BUCKETS], *busy, **busy_end = &busy;
static struct deliverer *deliverers;
static size_t open_count;			/* deliverers with an open channel */
static struct timer tick;
static struct turn_end turn_end;

const struct account *lane_account(const struct lane *lane)
{
	return &lane->account;
}

/* ---- lanes ---- */

static unsigned bucket_of(uid_t uid, const char *base)
{
	uint32_t hash = 2166136261u ^ uid;

	for (; *base != '\0'; base++)
		hash = (hash ^ (unsigned char)*base) * 16777619u;
	return hash % BUCKETS;
}

static struct lane *lane_find(const struct account *account, const char *base)
{
	for (struct lane *lane = buckets[bucket_of(account->uid, base)]; lane != NULL; lane = lane->next)
		if (lane->account.uid == account->uid && lane->account.gid == account->gid && strcmp(lane->base, base) == 0 &&
		    (lane->login == NULL) == (account->login == NULL) &&
		    (lane->login == NULL || strcmp(lane->login, account->login) == 0))
			return lane;
	return NULL;
}

static void lane_free(struct lane *lane)
{
	free(lane->login);
	free(lane->base);
	free(lane);
}

static struct lane *lane_make(const struct account *account, const char *base)
{
	unsigned bucket = bucket_of(account->uid, base);
	struct lane *lane = calloc(1, sizeof(*lane));

	if (lane == NULL)
		return NULL;
	lane->base = strdup(base);
	lane->login = account->login != NULL ? strdup(account->login) : NULL;
	if (lane->base == NULL || (account->login != NULL && lane->login == NULL)) {
		lane_free(lane);
		return NULL;
	}
	lane->account = (struct account){ account->uid, account->gid, lane->login };
	lane->next = buckets[bucket];
	buckets[bucket] = lane;
	return lane;
}

static void lane_free_if_unused(struct lane *lane)
{
	struct lane **at = &buckets[bucket_of(lane->account.uid, lane->base)];

	if (lane->is_busy)
		return;
	for (size_t i = 0; i < LANE_DELIVERERS_MAX; i++)
		if (lane->deliverers[i] != NULL)
			return;
	while (*at != lane)
		at = &(*at)->next;
	*at = lane->next;
	lane_free(lane);
}

bool lane_add(struct part *part, const struct account *account, const char *base)
{
	struct lane *lane = lane_find(account, base);

	if (lane == NULL)
		lane = lane_make(account, base);
	if (lane == NULL)
		return false;
	part->lane = lane;
	part->next = NULL;
	part->previous = lane->last;
	*(lane->last != NULL ? &lane->last->next : &lane->first) = part;
	lane->last = part;
	if (!lane->is_busy) {
		lane->is_busy = true;
		lane->next_busy = NULL;
		*busy_end = lane;
		busy_end = &lane->next_busy;
	}
	return true;
}

static void lane_defer_waiting(struct lane *lane, const char *status, const char *words)
{
	struct part *part;

	while ((part = lane->first) != NULL) {
		struct outcome outcome = { 0 };

		lane->first = part->next;
		if (lane->first == NULL)
			lane->last = NULL;
		outcome_set(&outcome, DELIVERY_DEFERRED, status, "%s", words);
		recipient_report(part->recipient, &outcome);
	}
}

/* ---- a deliverer's parts ---- */

static void deliverer_add(struct deliverer *d, struct part *part)
{
	if (d->load++ == 0)
		d->progress_ms = loop_now_ms(loop);
	part->deliverer = d;
	part->next = NULL;
	part->previous = d->last;
	*(d->last != NULL ? &d->last->next : &d->first) = part;
	d->last = part;
}

static void deliverer_remove(struct deliverer *d, struct part *part)
{
	*(part->previous != NULL ? &part->previous->next : &d->first) = part->next;
	*(part->next != NULL ? &part->next->previous : &d->last) = part->previous;
	part->deliverer = NULL;
	d->load--;
}

static struct part *deliverer_find(const struct deliverer *d, uint64_t serial, uint64_t place)
{
	struct part *part = d->first;	/* answers mostly come in order */

	while (part != NULL && (part->recipient->job->serial != serial || part->place != place))
		part = part->next;
	return part;
}

/* Its channel is closed: what it had comes again later. */
static void deliverer_defer_all(struct deliverer *d, const char *words)
{
	struct part *part;

	open_count--;
	while ((part = d->first) != NULL) {
		struct outcome outcome = { 0 };

		deliverer_remove(d, part);
		outcome_set(&outcome, DELIVERY_DEFERRED, "4.2.0", "%s", words);
		recipient_report(part->recipient, &outcome);
	}
}

static void log_deliverer(const char *event, const struct deliverer *d, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_number(&line, "pid", (uint64_t)d->pid);
	log_number(&line, "uid", d->lane->account.uid);
	log_text(&line, "base", d->lane->base);
	log_number(&line, "recipients", d->load);
	log_why(&line, why);
	log_end(&line);
}

static void set_aside(struct deliverer *d, const char *event, const char *words)
{
	struct why why = { 0 };

	why_set(&why, RESULT_RETRY, "%s", words);
	log_deliverer(event, d, &why);
	channel_close(&d->channel);
	if (!d->is_reaped)
		kill(d->pid, SIGKILL);
	deliverer_defer_all(d, words);
}

/* ---- what deliverers say ---- */

static void take_result(struct deliverer *d, struct part *part, const struct frame *f)
{
	struct outcome outcome = { 0 };
	char status[12 + 1] = "";
	const struct wire_value *words = &f->value[RESULT_WORDS];
	uint64_t verdict = f->value[RESULT_VERDICT].number;

	deliverer_remove(d, part);
	if (verdict > DELIVERY_FORWARDED || !frame_value_copy(f, RESULT_STATUS, status, sizeof(status))) {
		verdict = DELIVERY_DEFERRED;
		memcpy(status, "4.3.0", 6);
	}
	if (verdict != 0)	/* 0: all it had to do was to ask for programs */
		outcome_set(&outcome, (enum delivery_verdict)verdict, status, "%.*s", (int)words->length, words->length > 0 ? words->bytes : "");
	if (verdict == DELIVERY_DEFERRED)
		hooks->troubled(part);
	recipient_report(part->recipient, &outcome);
}

static bool take_run(struct part *part, const struct frame *f)
{
	char command[WIRE_PATH_LENGTH_MAX + 1];

	if (part->recipient->programs++ >= PROGRAMS_MAX || !frame_value_copy(f, RUN_COMMAND, command, sizeof(command)))
		return false;
	part->recipient->pending++;
	hooks->run(part, command);
	return true;
}

static bool take_forward(struct part *part, const struct frame *f)
{
	const struct wire_value *address = &f->value[FORWARD_ADDRESS];

	return part->recipient->forwards++ < FORWARDS_MAX && recipient_forward(part->recipient, address->bytes, address->length);
}

/* JOB and INDEX are the first fields of all three. A deliverer may speak of its own parts alone. */
static void take_frame(struct channel *channel, struct frame *f)
{
	struct deliverer *d = container_of(channel, struct deliverer, channel);
	struct part *part = NULL;
	bool is_good = true;

	if (f->type == FRAME_RESULT || f->type == FRAME_FORWARD || f->type == FRAME_RUN)
		part = deliverer_find(d, f->value[RESULT_JOB].number, f->value[RESULT_INDEX].number);
	d->progress_ms = loop_now_ms(loop);
	if (part == NULL) {
		if (f->descriptor >= 0)
			close(f->descriptor);
		is_good = false;
	} else if (f->type == FRAME_RESULT) {
		take_result(d, part, f);
	} else {
		is_good = f->type == FRAME_RUN ? take_run(part, f) : take_forward(part, f);
	}
	if (!is_good)
		set_aside(d, "deliverer-bad-frame", "the delivery process said what it must not say");
}

/* ---- starting and ending ---- */

static void deliverer_forget(struct deliverer *d)
{
	struct lane *lane = d->lane;

	for (size_t i = 0; i < LANE_DELIVERERS_MAX; i++)
		if (lane->deliverers[i] == d)
			lane->deliverers[i] = NULL;
	*d->link = d->next;
	if (d->next != NULL)
		d->next->link = d->link;
	free(d);
	lane_free_if_unused(lane);
}

bool lanes_reap(pid_t pid, int status)
{
	struct deliverer *d = deliverers;
	struct why why = { 0 };

	while (d != NULL && d->pid != pid)
		d = d->next;
	if (d == NULL)
		return false;
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		why_set(&why, RESULT_RETRY, "signal %d", WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		why_set(&why, RESULT_RETRY, "exit code %d", WEXITSTATUS(status));
	if (why.text[0] != '\0')
		log_deliverer("deliverer-ended", d, &why);
	d->is_reaped = true;
	if (d->channel.fd < 0)	/* else what it said last is still to be read */
		deliverer_forget(d);
	return true;
}

static void channel_lost(struct channel *channel, const struct why *why)
{
	struct deliverer *d = container_of(channel, struct deliverer, channel);

	if (d->load > 0)
		log_deliverer("deliverer-died", d, why);
	deliverer_defer_all(d, "the delivery process ended unexpectedly");
	if (d->is_reaped)
		deliverer_forget(d);
}

/* End of file on its channel makes it end; its place is free when it is reaped. */
static void deliverer_let_go(struct deliverer *d)
{
	channel_close(&d->channel);
	open_count--;
}

/* Room for one more: the idle one that was used longest ago goes. */
static bool make_room(void)
{
	struct deliverer *oldest = NULL;

	if (open_count < DELIVERERS_MAX)
		return true;
	for (struct deliverer *d = deliverers; d != NULL; d = d->next)
		if (d->channel.fd >= 0 && d->load == 0 && (oldest == NULL || d->progress_ms < oldest->progress_ms))
			oldest = d;
	if (oldest == NULL)
		return false;
	deliverer_let_go(oldest);
	return true;
}

static void ticked(struct timer *timer)
{
	uint64_t now = loop_now_ms(loop);
	struct deliverer *next;

	(void)timer;
	for (struct deliverer *d = deliverers; d != NULL; d = next) {
		next = d->next;
		if (d->channel.fd < 0) {
			if (d->is_reaped)	/* first, and then its channel was closed from this side */
				deliverer_forget(d);
			continue;
		}
		if (d->load > 0 && now - d->progress_ms > DELIVERER_STUCK_MS)
			set_aside(d, "deliverer-stuck", "the mailbox does not answer");
		else if (d->load == 0 && now - d->progress_ms > DELIVERER_IDLE_MS)
			deliverer_let_go(d);
	}
	if (deliverers != NULL)
		loop_set_timer(loop, &tick, TICK_MS, ticked);
}

static struct deliverer *deliverer_start(struct lane *lane, size_t slot, struct why *why)
{
	struct deliverer *d = calloc(1, sizeof(*d));
	int fd;

	if (d == NULL || deliverer_fork(conf, &lane->account, lane->base, hooks->forked, &d->pid, &fd, why) != RESULT_OK) {
		free(d);
		return NULL;
	}
	d->lane = lane;
	d->channel.fd = -1;
	d->progress_ms = loop_now_ms(loop);
	d->next = deliverers;
	d->link = &deliverers;
	if (deliverers != NULL)
		deliverers->link = &d->next;
	deliverers = d;
	lane->deliverers[slot] = d;
	if (channel_open(&d->channel, loop, fd, take_frame, channel_lost, why) != RESULT_OK) {
		kill(d->pid, SIGKILL);	/* reaped as any other */
		return NULL;
	}
	open_count++;
	if (tick.place == 0)
		loop_set_timer(loop, &tick, TICK_MS, ticked);
	return d;
}

/* ---- sending ---- */

static void send_part(struct deliverer *d, struct part *part)
{
	struct recipient *recipient = part->recipient;
	struct wire_value values[DELIVER_TO_FIELDS] = {
		[DELIVER_TO_JOB] = WIRE_NUMBER(recipient->job->serial),
		[DELIVER_TO_INDEX] = WIRE_NUMBER(part->place),
		[DELIVER_TO_KIND] = WIRE_NUMBER(part->kind),
		[DELIVER_TO_PATH] = WIRE_STRING(part->path),
		[DELIVER_TO_QUOTA] = WIRE_STRING(part->quota),
		[DELIVER_TO_ADDRESS] = WIRE_STRING(recipient->address),
		[DELIVER_TO_AS] = WIRE_STRING(recipient->as),
		[DELIVER_TO_OWNER] = WIRE_STRING(recipient->owner),
		[DELIVER_TO_HOME] = WIRE_STRING(part->home),
		[DELIVER_TO_EXTENSION] = WIRE_STRING(part->extension),
	};
	struct why why;

	(void)channel_send(&d->channel, FRAME_DELIVER_TO, values, -1, &why);
	deliverer_add(d, part);
}

/* The parts at the head of LANE that belong to one job, as many as D takes. false: D is of no use. */
static bool send_group(struct lane *lane, struct deliverer *d)
{
	struct job *job = lane->first->recipient->job;
	size_t group = 0;
	struct why why;
	int fd = fcntl(job->fd, F_DUPFD_CLOEXEC, 0);

	for (struct part *part = lane->first; part != NULL && part->recipient->job == job && d->load + group < DELIVERER_LOAD_MAX; part = part->next)
		group++;
	struct wire_value values[LOCAL_JOB_FIELDS] = {
		[LOCAL_JOB_JOB] = WIRE_NUMBER(job->serial),
		[LOCAL_JOB_ID] = WIRE_STRING(job->id),
		[LOCAL_JOB_ARRIVED_US] = WIRE_NUMBER(job->arrived_us),
		[LOCAL_JOB_OFFSET] = WIRE_NUMBER(job->offset),
		[LOCAL_JOB_LENGTH] = WIRE_NUMBER(job->length),
		[LOCAL_JOB_REVERSE_PATH] = WIRE_STRING(job->reverse_path),
		[LOCAL_JOB_COUNT] = WIRE_NUMBER(group),
	};
	if (fd < 0) {
		lane_defer_waiting(lane, "4.3.1", "out of descriptors");
		return true;
	}
	if (channel_send(&d->channel, FRAME_LOCAL_JOB, values, fd, &why) != RESULT_OK)
		return false;
	for (; group > 0; group--) {
		struct part *part = lane->first;

		lane->first = part->next;
		if (lane->first == NULL)
			lane->last = NULL;
		else
			lane->first->previous = NULL;
		send_part(d, part);
	}
	return true;
}

/* The first deliverer that has room: one is filled before the next is asked, so that its commits
 * are shared by many. NULL: none now; *IS_HOPELESS: none will be soon. */
static struct deliverer *lane_choose(struct lane *lane, bool *is_hopeless, struct why *why)
{
	struct deliverer *made;
	size_t slot = LANE_DELIVERERS_MAX, open = 0;

	*is_hopeless = false;
	for (size_t i = 0; i < LANE_DELIVERERS_MAX; i++) {
		struct deliverer *d = lane->deliverers[i];

		if (d == NULL) {
			slot = i;
			continue;
		}
		open += d->channel.fd >= 0;
		if (d->channel.fd >= 0 && d->load < DELIVERER_LOAD_MAX)
			return d;
	}
	if (slot == LANE_DELIVERERS_MAX) {
		*is_hopeless = open == 0;
		why_set(why, RESULT_RETRY, "the mailbox does not answer");
		return NULL;
	}
	if (!make_room())
		return NULL;
	made = deliverer_start(lane, slot, why);
	if (made == NULL) {
		log_failure("unable-to-start-deliverer", why);
		*is_hopeless = open == 0;
	}
	return made;
}

static void lane_send(struct lane *lane)
{
	while (lane->first != NULL) {
		struct why why = { 0 };
		bool is_hopeless;
		struct deliverer *d = lane_choose(lane, &is_hopeless, &why);

		if (d == NULL && is_hopeless)
			lane_defer_waiting(lane, "4.3.0", why.text);
		if (d == NULL || !send_group(lane, d))
			return;
	}
}

/* Lanes that still wait go to the end of the list, and are looked at again each turn. */
static void send_all(struct turn_end *end)
{
	struct lane *list = busy, *lane;

	(void)end;
	busy = NULL;
	busy_end = &busy;
	while ((lane = list) != NULL) {
		list = lane->next_busy;
		lane->is_busy = false;
		lane_send(lane);
		if (lane->first != NULL) {
			lane->is_busy = true;
			lane->next_busy = NULL;
			*busy_end = lane;
			busy_end = &lane->next_busy;
		} else {
			lane_free_if_unused(lane);
		}
	}
}

void lanes_open(struct loop *its_loop, const struct configuration *its_conf, const struct lane_hooks *its_hooks)
{
	loop = its_loop;
	conf = its_conf;
	hooks = its_hooks;
	turn_end.run = send_all;
	loop_at_turn_end(loop, &turn_end);
}

void lanes_close(void)
{
	for (struct deliverer *d = deliverers; d != NULL; d = d->next)
		if (d->channel.fd >= 0 && d->load == 0)
			deliverer_let_go(d);
}
