/* Lanes and deliverers: see lane.h. */
#include "lane.h"
#include "common/log.h"
#include "deliverers.h"
#include "suspects.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUCKETS = 256 };

struct lane {
	struct account account;
	char *login, *base;
	char *alone;				/* the one mailbox it is for; NULL: all below base */
	struct part *first, *last;		/* waiting */
	struct deliverer *deliverers[LANE_DELIVERERS_MAX];
	struct lane *next;			/* in its bucket */
	bool is_busy;				/* stands in the list of lanes with waiting parts */
	struct lane *next_busy;
};

static struct lane *buckets[BUCKETS], *busy, **busy_end = &busy;
static struct turn_end turn_end;
static struct loop *loop;

const struct account *lane_account(const struct lane *lane)
{
	return &lane->account;
}

bool lane_is_alone(const struct lane *lane)
{
	return lane->alone != NULL;
}

/* ---- lanes ---- */

static unsigned bucket_of(uid_t uid, const char *base)
{
	uint32_t hash = 2166136261u ^ uid;

	for (; *base != '\0'; base++)
		hash = (hash ^ (unsigned char)*base) * 16777619u;
	return hash % BUCKETS;
}

static bool is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct lane *lane_find(const struct account *account, const char *base, const char *alone)
{
	for (struct lane *lane = buckets[bucket_of(account->uid, base)]; lane != NULL; lane = lane->next)
		if (lane->account.uid == account->uid && lane->account.gid == account->gid && strcmp(lane->base, base) == 0 &&
		    is_same(lane->login, account->login) && is_same(lane->alone, alone))
			return lane;
	return NULL;
}

static void lane_free(struct lane *lane)
{
	free(lane->login);
	free(lane->base);
	free(lane->alone);
	free(lane);
}

static struct lane *lane_make(const struct account *account, const char *base, const char *alone)
{
	unsigned bucket = bucket_of(account->uid, base);
	struct lane *lane = calloc(1, sizeof(*lane));

	if (lane == NULL)
		return NULL;
	lane->base = strdup(base);
	lane->login = account->login != NULL ? strdup(account->login) : NULL;
	lane->alone = alone != NULL ? strdup(alone) : NULL;
	if (lane->base == NULL || (account->login != NULL && lane->login == NULL) || (alone != NULL && lane->alone == NULL)) {
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

void lane_lose(struct lane *lane, const struct deliverer *d)
{
	for (size_t i = 0; i < LANE_DELIVERERS_MAX; i++)
		if (lane->deliverers[i] == d)
			lane->deliverers[i] = NULL;
	lane_free_if_unused(lane);
}

bool lane_add(struct part *part, const struct account *account, const char *base)
{
	const char *alone = is_suspect(part->path, loop_now_ms(loop)) ? part->path : NULL;
	struct lane *lane = lane_find(account, base, alone);

	if (lane == NULL)
		lane = lane_make(account, base, alone);
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
		[DELIVER_TO_DONE] = WIRE_BYTES((const char *)recipient->done.keys, recipient->done.count * sizeof(recipient->done.keys[0])),
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
 * are shared by many; one that is slow gets no more. A suspect mailbox has one alone, which may be as slow as it likes.
 * NULL: none now; *IS_HOPELESS: none will be soon. */
static struct deliverer *lane_choose(struct lane *lane, bool *is_hopeless, struct why *why)
{
	struct deliverer *made;
	size_t slots = lane->alone != NULL ? 1 : LANE_DELIVERERS_MAX, slot = slots, open = 0;

	*is_hopeless = false;
	for (size_t i = 0; i < slots; i++) {
		struct deliverer *d = lane->deliverers[i];

		if (d == NULL) {
			slot = i;
			continue;
		}
		open += d->channel.fd >= 0;
		if (d->channel.fd >= 0 && d->load < DELIVERER_LOAD_MAX && !d->is_slow)
			return d;
	}
	if (slot == slots) {
		*is_hopeless = open == 0;
		why_set(why, RESULT_RETRY, "the mailbox does not answer");
		return NULL;
	}
	if (!deliverers_make_room())
		return NULL;
	made = lane->deliverers[slot] = deliverer_start(lane, &lane->account, lane->base, why);
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

void lanes_open(struct loop *its_loop, const struct configuration *conf, const struct lane_hooks *hooks)
{
	loop = its_loop;
	deliverers_open(loop, conf, hooks);
	turn_end.run = send_all;
	loop_at_turn_end(loop, &turn_end);
}
