/* Programs, the spawner's side: see program.h. */
#include "program.h"
#include "common/helper.h"
#include "common/log.h"
#include "common/lookup.h"
#include "common/sandbox.h"
#include "deliverer_start.h"
#include "keeper.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	OVERTIME_SECONDS = 30,		/* for the keeper to end a program whose time is up */
	PLACE_SECONDS = 600,		/* the wait for a place; with the overtime less than queued's ANSWER_SECONDS, or it would give up first */
};

struct program {
	struct recipient *recipient;
	uint64_t key;
	struct program_user user;	/* its strings lie in STRINGS */
	const char *command, *extension;
	uint64_t since_ms;		/* it waits */
	pid_t pid;			/* 0: waits */
	bool has_reported, is_reaped;
	struct channel channel;
	struct program *next;
	char strings[];
};

static struct loop *loop;
static const struct configuration *conf;
static void (*on_fork)(void);
static struct program *waiting, **waiting_end = &waiting, *running;
static size_t running_count, share;
static struct timer patience;

void programs_open(struct loop *its_loop, const struct configuration *its_conf, void (*forked)(void))
{
	loop = its_loop;
	conf = its_conf;
	on_fork = forked;
	share = geteuid() == 0 ? PROGRAMS_OF_ONE : PROGRAMS_AT_ONCE;
}

/* ---- in the child ---- */

static const char *extension_of(const struct recipient *recipient)
{
	const char *at = strchr(recipient->address, '@');

	for (const char *c = recipient->address; c[0] != '\0' && c != at; c++)
		if (c != recipient->address && strchr(conf->subaddress, *c) != NULL)
			return c + 1;
	return "";
}

static void send_outcome(int fd, const struct outcome *outcome)
{
	struct channel channel;
	struct wire_value values[RESULT_FIELDS] = {
		[RESULT_VERDICT] = WIRE_NUMBER(outcome->verdict),
		[RESULT_STATUS] = WIRE_STRING(outcome->status),
		[RESULT_WORDS] = WIRE_STRING(outcome->words != NULL ? outcome->words : ""),
	};
	struct why why;

	if (channel_open(&channel, NULL, fd, NULL, NULL, &why) == RESULT_OK &&
	    channel_send(&channel, FRAME_RESULT, values, -1, &why) == RESULT_OK)
		(void)channel_flush(&channel, &why);
	channel_close(&channel);
}

/* Under its account, but where there is another to be as well the program can't stop its keeper. */
static enum result become_keeper(const struct account *account, struct why *why)
{
	struct identity identity = { .uid = account->uid, .gid = account->gid, .groups_of = account->login }, nobody = { 0 };
	enum result result = sandbox_identity(ROLE_NAMES, &nobody, why);

	if (geteuid() == 0)
		identity.watcher = nobody.uid;
	return result == RESULT_OK ? sandbox_enter(ROLE_PROGRAM, &identity, NULL, 0, why) : result;
}

/* In a session of its own, with nothing of ours but its channel and its message. */
static int child(const struct program *program, int fd)
{
	const struct recipient *recipient = program->recipient;
	const struct job *job = recipient->job;
	const int keep[] = { fd, job->fd };
	char extension[WIRE_ADDRESS_MAX + 1];
	struct program_task task = {
		.command = program->command, .name = program->user.name, .home = program->user.home, .id = job->id,
		.sender = recipient->owner[0] != '\0' ? recipient->owner : job->reverse_path, .recipient = recipient->address,
		.original_recipient = recipient->as[0] != '\0' ? recipient->as : recipient->address, .extension = extension,
		.message = 4, .offset = job->offset, .length = job->length,
		.timeout_seconds = conf->program_timeout_seconds, .spawner = 3,
	};
	struct outcome outcome = { 0 };
	struct why why = { 0 };
	enum result result = child_begin(keep, 2, &why);

	memcpy(extension, extension_of(recipient), strcspn(extension_of(recipient), "@") + 1);
	extension[strcspn(extension, "@")] = '\0';
	umask(077);
	setsid();
	helper_limit(LOOKUP_SECONDS);	/* its groups are looked up */
	if (result == RESULT_OK)
		result = become_keeper(&program->user.account, &why);
	helper_limit(conf->program_timeout_seconds + OVERTIME_SECONDS);	/* its place is free again, whatever the program does */
	if (result == RESULT_OK)
		keeper_run(&task, &outcome);
	else
		outcome_set(&outcome, DELIVERY_DEFERRED, "4.3.5", "the program can't be started: %s", why.text);
	send_outcome(3, &outcome);
	return EX_OK;
}

/* ---- in the spawner ---- */

static void start_waiting(void);

static void program_free_if_over(struct program *program)
{
	struct program **at = &running;

	if (!program->has_reported || !program->is_reaped)
		return;
	while (*at != program)
		at = &(*at)->next;
	*at = program->next;
	channel_close(&program->channel);
	free(program);
	running_count--;
	start_waiting();
}

static void program_report(struct program *program, struct outcome *outcome)
{
	if (!program->has_reported)
		recipient_report(program->recipient, outcome);
	program->has_reported = true;
	outcome_free(outcome);
}

static void take_frame(struct channel *channel, struct frame *f)
{
	struct program *program = container_of(channel, struct program, channel);
	const struct wire_value *words = &f->value[RESULT_WORDS];
	struct outcome outcome = { 0 };
	char status[13] = "4.3.0";
	uint64_t verdict = f->value[RESULT_VERDICT].number;

	if (f->descriptor >= 0)
		close(f->descriptor);
	if (program->has_reported || f->type != FRAME_RESULT || verdict < DELIVERY_DELIVERED || verdict > DELIVERY_FAILED)
		return;		/* its end is then what counts; a recipient that was reported to may be gone */
	(void)frame_value_copy(f, RESULT_STATUS, status, sizeof(status));
	outcome_set(&outcome, (enum delivery_verdict)verdict, status, "%.*s", (int)words->length, words->length > 0 ? words->bytes : "");
	if (verdict == DELIVERY_DELIVERED)
		done_add(&program->recipient->done, program->key);
	program_report(program, &outcome);
}

static void channel_lost(struct channel *channel, const struct why *why)
{
	struct program *program = container_of(channel, struct program, channel);
	struct outcome outcome = { 0 };

	(void)why;
	outcome_set(&outcome, DELIVERY_DEFERRED, "4.3.0", "the program's keeper ended unexpectedly");
	program_report(program, &outcome);
	program_free_if_over(program);
}

static enum result program_start(struct program *program, struct why *why)
{
	int ends[2];

	if (channel_pair(ends, why) != RESULT_OK)
		return RESULT_RETRY;
	log_flush();
	program->pid = fork();
	if (program->pid == 0) {
		int code = child(program, ends[1]);

		log_flush();
		_exit(code);
	}
	close(ends[1]);
	if (program->pid > 0)
		return channel_open(&program->channel, loop, ends[0], take_frame, channel_lost, why);
	why_errno(why, RESULT_RETRY, "fork for a program");
	close(ends[0]);
	return RESULT_RETRY;
}

static size_t count_running(uid_t uid)
{
	size_t count = 0;

	for (const struct program *program = running; program != NULL; program = program->next)
		count += program->user.account.uid == uid;
	return count;
}

static struct program *waiting_take(struct program **at)
{
	struct program *program = *at;

	*at = program->next;
	if (program->next == NULL)
		waiting_end = at;
	return program;
}

/* The first of the account that has the fewest running. NULL: none waits, or all who wait have their share. */
static struct program *waiting_take_next(void)
{
	struct program **next = NULL;
	size_t fewest = share;

	for (struct program **at = &waiting; *at != NULL && fewest > 0; at = &(*at)->next) {
		size_t count = count_running((*at)->user.account.uid);

		if (count >= fewest)
			continue;
		fewest = count;
		next = at;
	}
	return next != NULL ? waiting_take(next) : NULL;
}

static void start_waiting(void)
{
	struct program *program;

	while (running_count < PROGRAMS_AT_ONCE && (program = waiting_take_next()) != NULL) {
		struct outcome outcome = { 0 };
		struct why why = { 0 };

		program->next = running;
		running = program;
		running_count++;
		if (program_start(program, &why) == RESULT_OK)
			continue;
		log_failure("unable-to-start-program", &why);
		outcome_set(&outcome, DELIVERY_DEFERRED, "4.3.0", "unable to %s", why.text);
		program_report(program, &outcome);
		if (program->pid < 0) {
			program->is_reaped = true;
			running = program->next;
			free(program);
			running_count--;
		}
	}
}

static void patience_ended(struct timer *timer)
{
	uint64_t now = loop_now_ms(loop);

	while (waiting != NULL && now - waiting->since_ms >= PLACE_SECONDS * 1000) {
		struct program *program = waiting_take(&waiting);
		struct outcome outcome = { 0 };

		outcome_set(&outcome, DELIVERY_DEFERRED, "4.3.2", "no place for the program within %d seconds: too many others run", PLACE_SECONDS);
		program_report(program, &outcome);
		free(program);
	}
	if (waiting != NULL)
		loop_set_timer(loop, timer, waiting->since_ms + PLACE_SECONDS * 1000 - now, patience_ended);
}

static char *add_string(char *at, const char *string, const char **field)
{
	size_t length = strlen(string) + 1;

	memcpy(at, string, length);
	*field = at;
	return at + length;
}

void program_add(struct recipient *recipient, const struct program_user *user, uint64_t key, const char *command)
{
	const char *login = user->account.login != NULL ? user->account.login : "";
	struct program *program = calloc(1, sizeof(*program) + strlen(user->name) + strlen(user->home) + strlen(login) + strlen(command) + 4);
	struct outcome outcome = { 0 };
	char *at;

	if (program == NULL) {
		outcome_set(&outcome, DELIVERY_DEFERRED, "4.3.1", "out of memory");
		recipient_report(recipient, &outcome);
		return;
	}
	program->recipient = recipient;
	program->key = key;
	program->channel.fd = -1;
	program->since_ms = loop_now_ms(loop);
	program->user.account = user->account;
	at = add_string(program->strings, user->name, &program->user.name);
	at = add_string(at, user->home, &program->user.home);
	at = add_string(at, login, &program->user.account.login);
	if (login[0] == '\0')
		program->user.account.login = NULL;
	add_string(at, command, &program->command);
	*waiting_end = program;
	waiting_end = &program->next;
	start_waiting();
	if (waiting != NULL && patience.place == 0)
		loop_set_timer(loop, &patience, PLACE_SECONDS * 1000, patience_ended);
}

bool programs_reap(pid_t pid)
{
	struct program *program = running;

	while (program != NULL && program->pid != pid)
		program = program->next;
	if (program == NULL)
		return false;
	program->is_reaped = true;
	program_free_if_over(program);
	return true;
}
