/* Deliverers: see deliverers.h. */
#include "deliverers.h"
#include "common/hung.h"
#include "common/log.h"
#include "deliverer_start.h"
#include "forward.h"
#include "suspects.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 1000 };

static struct loop *loop;
static const struct configuration *conf;
static const struct lane_hooks *hooks;
static struct deliverer *deliverers;
static size_t open_count;		/* those with an open channel */
static struct timer tick;

void deliverers_open(struct loop *its_loop, const struct configuration *its_conf, const struct lane_hooks *its_hooks)
{
	loop = its_loop;
	conf = its_conf;
	hooks = its_hooks;
}

/* ---- its parts ---- */

void deliverer_add(struct deliverer *d, struct part *part)
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
		hooks->troubled(part);
		outcome_set(&outcome, DELIVERY_DEFERRED, "4.2.0", "%s", words);
		recipient_report(part->recipient, &outcome);
	}
}

static void log_deliverer(const char *event, const struct deliverer *d, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_number(&line, "pid", (uint64_t)d->pid);
	log_number(&line, "uid", d->account->uid);
	log_text(&line, "base", d->base);
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

/* It may be waiting for a dead mount: what it has in hand might hang the next one as well. */
static void suspect_all(struct deliverer *d, uint64_t now)
{
	struct why why = { 0 };

	d->is_slow = true;
	for (const struct part *part = d->first; part != NULL; part = part->next) {
		suspect_add(part->path, now);
		hooks->suspected(part);
	}
	why_set(&why, RESULT_RETRY, "no answer for %d s; new mail goes to another process", DELIVERER_SLOW_MS / 1000);
	log_deliverer("deliverer-slow", d, &why);
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
	if (verdict == DELIVERY_DELIVERED) {
		done_add(&part->recipient->done, part->key);
		suspect_clear(part->path);
		hung_clear(part->path);
	}
	else if (verdict == DELIVERY_DEFERRED)
		hooks->troubled(part);
	recipient_report(part->recipient, &outcome);
}

static bool take_run(struct part *part, const struct frame *f)
{
	char command[WIRE_PATH_LENGTH_MAX + 1];

	if (part->recipient->programs++ >= FORWARD_PROGRAMS_MAX || !frame_value_copy(f, RUN_COMMAND, command, sizeof(command)))
		return false;
	part->recipient->pending++;
	hooks->run(part, command);
	return true;
}

static bool take_forward(struct part *part, const struct frame *f)
{
	const struct wire_value *address = &f->value[FORWARD_ADDRESS];

	return part->recipient->forwards++ < FORWARD_ENTRIES_MAX && recipient_forward(part->recipient, address->bytes, address->length);
}

/* JOB and INDEX are the first fields of all four. A deliverer may speak of its own parts alone; what only a ~/.forward can say,
 * it may say where one was to be looked for. */
static void take_frame(struct channel *channel, struct frame *f)
{
	struct deliverer *d = container_of(channel, struct deliverer, channel);
	struct part *part = NULL;
	bool is_good = true;

	if (f->type == FRAME_RESULT || f->type == FRAME_FORWARD || f->type == FRAME_RUN || f->type == FRAME_DONE)
		part = deliverer_find(d, f->value[RESULT_JOB].number, f->value[RESULT_INDEX].number);
	d->progress_ms = loop_now_ms(loop);
	d->is_slow = false;
	if (part == NULL) {
		if (f->descriptor >= 0)
			close(f->descriptor);
		is_good = false;
	} else if (f->type == FRAME_RESULT) {
		take_result(d, part, f);
	} else if (f->type == FRAME_DONE) {
		done_add(&part->recipient->done, f->value[DONE_KEY].number);
	} else {
		is_good = part->home[0] != '\0' && (f->type == FRAME_RUN ? take_run(part, f) : take_forward(part, f));
	}
	if (!is_good)
		set_aside(d, "deliverer-bad-frame", "the delivery process said what it must not say");
}

/* ---- starting and ending ---- */

static void deliverer_forget(struct deliverer *d)
{
	*d->link = d->next;
	if (d->next != NULL)
		d->next->link = d->link;
	lane_lose(d->lane, d);
	free(d);
}

bool deliverers_reap(pid_t pid, int status)
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
bool deliverers_make_room(void)
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
		if (d->load > 0 && !d->is_slow && now - d->progress_ms > DELIVERER_SLOW_MS && !lane_is_alone(d->lane))
			suspect_all(d, now);
		if (d->load > 0 && now - d->progress_ms > DELIVERER_STUCK_MS)
			set_aside(d, "deliverer-stuck", "the mailbox does not answer");
		else if (d->load == 0 && now - d->progress_ms > DELIVERER_IDLE_MS)
			deliverer_let_go(d);
	}
	if (deliverers != NULL)
		loop_set_timer(loop, &tick, TICK_MS, ticked);
}

struct deliverer *deliverer_start(struct lane *lane, const struct account *account, const char *base, struct why *why)
{
	struct deliverer *d = calloc(1, sizeof(*d));
	int fd;

	if (d == NULL || deliverer_fork(conf, account, base, hooks->forked, &d->pid, &fd, why) != RESULT_OK) {
		free(d);
		return NULL;
	}
	d->lane = lane;
	d->account = account;
	d->base = base;
	d->progress_ms = loop_now_ms(loop);
	if (channel_open(&d->channel, loop, fd, take_frame, channel_lost, why) != RESULT_OK) {
		kill(d->pid, SIGKILL);	/* locald.c reaps it: its end may take as long as a file server that is away */
		free(d);
		return NULL;
	}
	d->next = deliverers;
	d->link = &deliverers;
	if (deliverers != NULL)
		deliverers->link = &d->next;
	deliverers = d;
	open_count++;
	if (tick.place == 0)
		loop_set_timer(loop, &tick, TICK_MS, ticked);
	return d;
}

void deliverers_close(void)
{
	for (struct deliverer *d = deliverers; d != NULL; d = d->next)
		if (d->channel.fd >= 0 && d->load == 0)
			deliverer_let_go(d);
}
