/* Seeing to mailboxes' folders, the spawner's side: see folders.h. */
#include "folders.h"
#include "common/hung.h"
#include "common/pool.h"
#include "suspects.h"
#include <stdlib.h>
#include <string.h>

enum { SEEN_MAX = 1 << 16 };

/* Hashes of the mailboxes seen; a new one takes the place of another. */
static uint64_t seen[SEEN_MAX];
static struct pool pool;
static enum result (*start_helper)(int fd, struct why *why);

/* A part whose folder is seen to. */
struct waiting {
	struct pool_question question;
	struct part *part;		/* NULL: nobody waits, it is a matter of whether it answers */
	struct account account;
	bool is_mbox;
	const char *base;
	char strings[];			/* the key with the path, base, login */
};

static uint64_t hash_of(const char *path)
{
	uint64_t hash = 14695981039346656037u;

	for (; *path != '\0'; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211u;
	return hash | 1;
}

static void note_seen(const char *path)
{
	uint64_t hash = hash_of(path);

	seen[hash % SEEN_MAX] = hash;
}

void folder_forget(const char *path)
{
	uint64_t hash = hash_of(path);

	if (seen[hash % SEEN_MAX] == hash)
		seen[hash % SEEN_MAX] = 0;
}

/* Seen, and not known as one that may hang. */
static bool needs_no_look(const char *path)
{
	uint64_t hash = hash_of(path), now = loop_now_ms(pool.loop);

	return seen[hash % SEEN_MAX] == hash && !is_suspect(path, now) && !hung_was(path, now);
}

/* ---- what becomes of a part ---- */

static void defer(struct part *part, const char *status, const char *words)
{
	struct outcome outcome = { 0 };

	outcome_set(&outcome, DELIVERY_DEFERRED, status, "%s", words);
	recipient_report(part->recipient, &outcome);
}

static void hand_over(struct part *part, const struct account *account, const char *base)
{
	if (!lane_add(part, account, base))
		defer(part, "4.3.1", "out of memory");
}

static void report_trouble(struct part *part, const struct frame *answer)
{
	struct outcome outcome = { 0 };
	struct why why = { 0 };

	why_set(&why, RESULT_RETRY, "%.*s", (int)answer->value[FOLDER_TELL_WORDS].length, answer->value[FOLDER_TELL_WORDS].bytes);
	why.errno_value = (int)answer->value[FOLDER_TELL_ERRNO].number;
	outcome_of_trouble(&outcome, &why);
	recipient_report(part->recipient, &outcome);
}

static void told(struct pool_question *question, enum result result, const struct frame *answer, const struct why *why)
{
	struct waiting *waiting = container_of(question, struct waiting, question);
	bool is_ready = result == RESULT_OK && answer->value[FOLDER_TELL_IS_READY].number == 1;

	if (is_ready)
		note_seen(question->about);
	if (waiting->part == NULL)
		;	/* hung.h knows */
	else if (is_ready)
		hand_over(waiting->part, &waiting->account, waiting->base);
	else if (result == RESULT_OK)
		report_trouble(waiting->part, answer);
	else
		defer(waiting->part, "4.2.0", why->text);
	free(waiting);
}

/* ---- questions ---- */

static enum result start(const struct pool_question *question, int fd, struct why *why)
{
	(void)question;
	return start_helper(fd, why);
}

static void ask(const struct pool_question *question, struct channel *helper, uint64_t serial)
{
	const struct waiting *waiting = container_of(question, const struct waiting, question);
	const struct wire_value values[FOLDER_ASK_FIELDS] = {
		WIRE_NUMBER(serial), WIRE_STRING(question->about), WIRE_NUMBER(waiting->is_mbox),
		WIRE_NUMBER(waiting->account.uid), WIRE_NUMBER(waiting->account.gid),
	};

	channel_send(helper, FRAME_FOLDER_ASK, values, -1, NULL);
}

static const struct pool_kind kind = {
	.seconds = FOLDER_SECONDS, .slow_ms = FOLDER_SLOW_MS, .idle_ms = POOL_IDLE_MS,
	.waiting_max = SIZE_MAX,	/* as many as queued hands out */
	.tell = FRAME_FOLDER_TELL,
	.late = "the mailbox does not answer", .broken = "the look at the mailbox broke off", .crowded = "too many mailboxes are waited for",
	.log_stuck = "mailbox-stuck", .log_died = "folder-helper-died", .log_none = "no-folder-helper", .log_about = "path",
	.start = start, .ask = ask,
};

void folders_open(struct loop *loop, enum result (*its_start)(int fd, struct why *why))
{
	start_helper = its_start;
	pool_begin(&pool, &kind, loop);
}

static char *add_string(char *at, const char *string)
{
	size_t length = strlen(string) + 1;

	memcpy(at, string, length);
	return at + length;
}

/* NULL: no memory. */
static struct waiting *waiting_make(const struct part *part, const struct account *account, const char *base)
{
	const char *login = account->login != NULL ? account->login : "";
	char who[48];
	size_t who_length = (size_t)snprintf(who, sizeof(who), "%d:%u:%u:", part->kind == DELIVER_MBOX, (unsigned)account->uid, (unsigned)account->gid);
	struct waiting *waiting = calloc(1, sizeof(*waiting) + who_length + strlen(part->path) + strlen(base) + strlen(login) + 3);
	char *at;

	if (waiting == NULL)
		return NULL;
	memcpy(waiting->strings, who, who_length);
	at = add_string(waiting->strings + who_length, part->path);
	waiting->base = at;
	at = add_string(at, base);
	add_string(at, login);
	waiting->account = (struct account){ account->uid, account->gid, account->login != NULL ? at : NULL };
	waiting->is_mbox = part->kind == DELIVER_MBOX;
	waiting->question = (struct pool_question){
		.who = "", .key = waiting->strings, .about = waiting->strings + who_length, .done = told,
	};
	return waiting;
}

void folder_deliver(struct part *part, const struct account *account, const char *base)
{
	struct waiting *waiting;

	if (needs_no_look(part->path)) {
		hand_over(part, account, base);
		return;
	}
	waiting = waiting_make(part, account, base);
	if (waiting == NULL) {
		defer(part, "4.3.1", "out of memory");
		return;
	}
	waiting->part = part;
	pool_ask(&pool, &waiting->question);
}

void folder_suspect(const struct part *part)
{
	struct waiting *waiting = waiting_make(part, lane_account(part->lane), "");

	if (waiting != NULL)
		pool_ask(&pool, &waiting->question);
}
