/* run/queued: the admin's commands to the running scheduler (`dawk queue`, `dawk status`). */
#include "queued/scheduler.h"

#include "common/log.h"
#include "queued/errand.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum { CLIENTS_MAX = 16 };

struct control_client {
	struct channel channel;
	struct scheduler *scheduler;
	uint64_t number;
	struct control_client *next;
};

#define BEING_CHANGED "%s is being changed by another command; try again"

/* ---- answers ---- */

static struct control_client *find_client(struct scheduler *s, uint64_t number)
{
	struct control_client *client;

	for (client = s->clients; client && client->number != number; client = client->next)
		;
	return client;
}

void control_answer(struct scheduler *s, uint64_t number, int code, const char *format, ...)
{
	struct control_client *client = find_client(s, number);
	char words[WIRE_WORDS_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	if (client) {
		struct wire_value values[QUEUE_ANSWER_FIELDS] = {
			[QUEUE_ANSWER_CODE] = WIRE_NUMBER(code), [QUEUE_ANSWER_WORDS] = WIRE_STRING(words),
		};
		channel_send(&client->channel, FRAME_QUEUE_ANSWER, values, -1, NULL);
	}
}

void control_answer_waiting(struct scheduler *s, struct message *m, int code, const char *said)
{
	uint64_t number;
	size_t at;

	for (at = 0; at < m->clients.len; at += sizeof number) {
		memcpy(&number, m->clients.s + at, sizeof number);
		control_answer(s, number, code, "%s %s", m->id, said);
	}
	m->clients.len = 0;
}

static void send_row(struct control_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void send_row(struct control_client *client, const char *format, ...)
{
	char words[LOG_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof words, format, arguments);
	va_end(arguments);
	channel_send(&client->channel, FRAME_QUEUE_ROW, (struct wire_value[QUEUE_ROW_FIELDS]){ [QUEUE_ROW_WORDS] = WIRE_STRING(words) }, -1, NULL);
}

void control_tell_busy(struct scheduler *s, uint64_t number)
{
	struct control_client *client = find_client(s, number);

	if (client)
		send_row(client, "%s", "");
}

static void errand_answer(struct errand *errand)
{
	const struct record *r = &errand->record;

	if (r->result == RESULT_OK)
		control_answer(errand->scheduler, errand->client, EX_OK, "%s %s", r->id, errand->said);
	else
		control_answer(errand->scheduler, errand->client, EX_TEMPFAIL, "%s", r->why.text);
}

/* ---- commands about one message ---- */

static struct errand *prepare(struct control_client *client, const char *id, enum queue_place from, enum queue_place to, const char *said)
{
	struct errand *errand = errand_make(client->scheduler, id, from, to);

	if (!errand) {
		control_answer(client->scheduler, client->number, EX_TEMPFAIL, "queued is out of memory");
		return NULL;
	}
	errand->then = errand_answer;
	errand->client = client->number;
	errand->said = said;
	/* the state may or may not be there; the recorder does what fits */
	errand->record.has_state = faccessat(client->scheduler->queue.place[QUEUE_STATE], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return errand;
}

/* It is held, or removed: it waits no more. */
static void taken_out(struct errand *errand)
{
	if (errand->record.result == RESULT_OK)
		control_forget(errand->scheduler, errand->record.id);
	errand_answer(errand);
}

/* A loaded message: when nothing of it is on its way the answer comes with the record. */
static void wish(struct control_client *client, struct message *m, const char *what)
{
	if (m->flying)
		control_answer(client->scheduler, client->number, EX_OK, "%s is %s as soon as the deliveries on their way have ended, unless queued ends before",
		               m->id, what);
	else if (!text_append(&m->clients, (const char *)&client->number, sizeof client->number))
		control_answer(client->scheduler, client->number, EX_TEMPFAIL, "queued is out of memory");
	advance(client->scheduler, m);
}

static void hold(struct control_client *client, const char *id, struct message *m, enum queue_place place)
{
	struct scheduler *s = client->scheduler;
	struct errand *errand;

	if (m) {
		m->wants_hold = true;
		wish(client, m, "held");
	} else if (place == QUEUE_HOLD) {
		control_answer(s, client->number, EX_OK, "%s is held", id);
	} else if (place == QUEUE_CORRUPT) {
		control_answer(s, client->number, EX_DATAERR, "%s is corrupt: it is kept, and not tried, already", id);
	} else if ((errand = prepare(client, id, place, QUEUE_HOLD, "is held"))) {
		errand->then = taken_out;
		errand_submit(errand);
	}
}

static void released(struct errand *errand)
{
	const struct record *r = &errand->record;

	if (r->result == RESULT_OK) {
		control_make_due(errand->scheduler, r->id, r->to == QUEUE_NEW, false);
		errand->scheduler->settling.probes = true;
	}
	errand_answer(errand);
}

/* Without a state it goes back to new/, where the start finds it; with one, to cur/, due now. */
static void release(struct control_client *client, const char *id, struct message *m, enum queue_place place)
{
	struct scheduler *s = client->scheduler;
	struct errand *errand;

	if (m && m->wants_hold && m->is_recording && m->record.to != m->place) {
		control_answer(s, client->number, EX_TEMPFAIL, BEING_CHANGED, id);
	} else if (m && m->wants_hold && !m->is_end_logged) {
		m->wants_hold = false;
		control_answer_waiting(s, m, EX_DATAERR, "is not held: it was released meanwhile");
		remote_probe_now(s, NULL);
		message_renew(m);
		control_answer(s, client->number, EX_OK, "%s is due at once", id);
		advance(s, m);
	} else if (m || place != QUEUE_HOLD) {
		control_answer(s, client->number, EX_DATAERR, "%s is not held", id);
	} else if ((errand = prepare(client, id, QUEUE_HOLD, QUEUE_CUR, "is due at once"))) {
		if (!errand->record.has_state)
			errand->record.to = QUEUE_NEW;
		errand->record.touches = errand->record.has_state;
		errand->record.due_us = time_real_us();
		errand->then = released;
		errand_submit(errand);
	}
}

static void retry(struct control_client *client, const char *id, struct message *m, enum queue_place place)
{
	struct scheduler *s = client->scheduler;

	if (place == QUEUE_HOLD || (m && m->wants_hold)) {
		release(client, id, m, place);	/* who asks for an attempt means it */
	} else if (m) {
		control_answer(s, client->number, EX_OK, "%s is being tried", id);
		control_retry_loaded(s, m);
		s->settling.probes = true;
	} else if (place == QUEUE_CORRUPT) {
		control_answer(s, client->number, EX_DATAERR, "%s is corrupt and can't be tried", id);
	} else {
		control_make_due(s, id, place == QUEUE_NEW, true);
		s->settling.probes = true;
		control_answer(s, client->number, EX_OK, "%s is due at once", id);
	}
}

/* It was told before it was done (story.c), so that it is told too when it was not done. */
static void removed(struct errand *errand)
{
	const struct record *r = &errand->record;

	if (r->result != RESULT_OK && load_place_of(errand->scheduler, r->id) != QUEUE_PLACES)
		scheduler_log("message-kept", r->id, &r->why);
	taken_out(errand);
}

static void discard(struct control_client *client, const char *id, struct message *m, enum queue_place place)
{
	struct errand *errand;

	if (m) {
		m->wants_removal = true;
		wish(client, m, "removed");
	} else if ((errand = prepare(client, id, place, place, "is removed"))) {
		errand->then = removed;
		errand->record.unlinks = true;
		scheduler_log("message-removed", id, NULL);
		errand_submit(errand);
	}
}

static const struct {
	const char *verb;
	void (*run)(struct control_client *client, const char *id, struct message *m, enum queue_place place);
} message_verbs[] = { { "hold", hold }, { "release", release }, { "retry", retry }, { "remove", discard } };

/* ---- commands about the queue ---- */

static void hurry_site(void *context, struct site *site)
{
	(void)context;
	waiting_hurry_all(&site->overflow);
}

static void flush(struct control_client *client, const char *argument)
{
	struct scheduler *s = client->scheduler;

	(void)argument;
	waiting_hurry_all(&s->retry);
	remote_probe_now(s, NULL);
	load_each(s, control_retry_loaded);
	site_each(&s->sites, hurry_site, NULL);
	control_answer(s, client->number, EX_OK, "%zu messages are due at once", s->retry.count);
}

static void add_parked(void *context, struct site *site)
{
	*(uint64_t *)context += site->parked;
}

static void status(struct control_client *client, const char *argument)
{
	struct scheduler *s = client->scheduler;
	const struct counters *c = &s->counters;
	uint64_t parked = 0;
	int i;

	(void)argument;
	site_each(&s->sites, add_parked, &parked);
	send_row(client, "waiting=%zu new=%zu loaded=%u recipients=%u parked=%llu reading=%s", s->retry.count,
	         s->fresh.count + load_overflowed(s), s->active, s->active_recipients, (unsigned long long)parked,
	         s->scan_state ? "yes" : "no");
	send_row(client, "delivered=%llu deferred=%llu failed=%llu messages=%llu reports=%llu", (unsigned long long)c->delivered,
	         (unsigned long long)c->deferred, (unsigned long long)c->failed, (unsigned long long)c->done, (unsigned long long)c->reports);
	for (i = 0; i < TRANSPORTS; i++)
		if (s->transports[i].is_expected || s->transports[i].is_up)
			send_row(client, "transport=%s state=%s in-flight=%u limit=%u", s->transports[i].name,
			         s->transports[i].is_up ? "up" : "down", s->transports[i].in_flight, s->transports[i].limit);
	control_answer(s, client->number, EX_OK, "%s", "");
}

static void send_site(void *context, struct site *site)
{
	struct control_client *client = context;
	struct log_line row;

	health_describe(client->scheduler, site, &row);
	send_row(client, "%.*s", (int)row.length - 1, row.text + 1);
}

static void sites(struct control_client *client, const char *argument)
{
	(void)argument;
	site_each(&client->scheduler->sites, send_site, client);
	control_answer(client->scheduler, client->number, EX_OK, "%s", "");
}

static void retry_domain(struct control_client *client, const char *argument)
{
	control_retry_domain(client->scheduler, client->number, argument);
}

static const struct {
	const char *verb;
	void (*run)(struct control_client *client, const char *argument);
} queue_verbs[] = { { "flush", flush }, { "status", status }, { "sites", sites }, { "retry", retry_domain } };

/* ---- clients ---- */

/* false: the command is not about one message ("retry" of a domain is not). */
static bool run_message_verb(struct control_client *client, const struct frame *f, const char *id)
{
	bool is_id = queue_id_is_valid(id, strlen(id));
	enum queue_place place = is_id ? load_place_of(client->scheduler, id) : QUEUE_PLACES;
	struct message *m = is_id ? load_find(client->scheduler, id) : NULL;
	size_t i;

	for (i = 0; i < sizeof message_verbs / sizeof *message_verbs; i++)
		if (frame_value_is(f, QUEUE_COMMAND_VERB, message_verbs[i].verb))
			break;
	if (i == sizeof message_verbs / sizeof *message_verbs || (!is_id && message_verbs[i].run == retry))
		return false;
	if (is_id && errand_find(client->scheduler, id))
		control_answer(client->scheduler, client->number, EX_TEMPFAIL, BEING_CHANGED, id);
	else if (place == QUEUE_PLACES)
		control_answer(client->scheduler, client->number, EX_DATAERR, "there is no message %s in the queue; `dawk queue list` shows all", id);
	else if (m && m->wants_removal && message_verbs[i].run != discard)
		control_answer(client->scheduler, client->number, EX_DATAERR, "%s is being removed", id);
	else
		message_verbs[i].run(client, id, m, place);
	return true;
}

static void command(struct channel *channel, struct frame *f)
{
	struct control_client *client = container_of(channel, struct control_client, channel);
	char argument[WIRE_ADDRESS_MAX + 1];
	size_t i;

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (f->type != FRAME_QUEUE_COMMAND || !frame_value_copy(f, QUEUE_COMMAND_ARGUMENT, argument, sizeof argument)) {
		channel_close(channel);
		channel->lost(channel, NULL);
		return;
	}
	if (run_message_verb(client, f, argument))
		return;
	control_settle(client->scheduler);	/* these look at all that waits */
	for (i = 0; i < sizeof queue_verbs / sizeof *queue_verbs; i++)
		if (frame_value_is(f, QUEUE_COMMAND_VERB, queue_verbs[i].verb)) {
			queue_verbs[i].run(client, argument);
			return;
		}
	control_answer(client->scheduler, client->number, EX_USAGE, "queued knows no such command");
}

static void hung_up(struct channel *channel, const struct why *why)
{
	struct control_client *client = container_of(channel, struct control_client, channel), **at;

	(void)why;
	for (at = &client->scheduler->clients; *at != client; at = &(*at)->next)
		;
	*at = client->next;
	client->next = client->scheduler->gone_clients;	/* its frames may still be on the stack: freed at the next accept */
	client->scheduler->gone_clients = client;
}

static void free_gone(struct scheduler *s)
{
	while (s->gone_clients) {
		struct control_client *client = s->gone_clients;

		s->gone_clients = client->next;
		free(client);
	}
}

static size_t count_clients(const struct scheduler *s)
{
	const struct control_client *client;
	size_t count = 0;

	for (client = s->clients; client; client = client->next)
		count++;
	return count;
}

static void accepted(struct watch *watch, uint32_t events)
{
	struct scheduler *s = container_of(watch, struct scheduler, control);
	struct control_client *client;
	struct why why = { 0 };
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	free_gone(s);
	client = count_clients(s) < CLIENTS_MAX ? calloc(1, sizeof *client) : NULL;
	if (!client) {
		close(fd);
		return;
	}
	client->scheduler = s;
	client->number = ++s->client_count;
	if (channel_open(&client->channel, s->loop, fd, command, hung_up, &why) != RESULT_OK) {
		free(client);
		return;
	}
	client->next = s->clients;
	s->clients = client;
}

enum result control_start(struct scheduler *s, struct why *why)
{
	if (s->control_fd < 0)
		return RESULT_OK;
	return loop_watch(s->loop, &s->control, s->control_fd, EPOLLIN, accepted, why);
}

void control_stop(struct scheduler *s)
{
	loop_unwatch(s->loop, &s->control);
	control_walk_stop(s);
}
