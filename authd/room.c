#include "authd/room.h"
#include "common/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	struct pool pool;
	const struct configuration *conf;
	struct channel *starter;
} rooms;

static void room_clear(struct room *room)
{
	free(room->who);
	free(room->key);
	room->who = room->key = NULL;
}

static void told(struct pool_question *question, enum result result, const struct frame *answer, const struct why *why)
{
	struct room *room = container_of(question, struct room, question);

	(void)why;	/* what hangs or fails is logged by the pool */
	room_clear(room);
	room->done(room, result == RESULT_OK && answer->value[ROOM_TELL_IS_FULL].number == 1);
}

static enum result start(const struct pool_question *question, int fd, struct why *why)
{
	const struct room *room = container_of(question, const struct room, question);
	const struct wire_value values[ROOM_START_FIELDS] = { WIRE_NUMBER(room->uid), WIRE_NUMBER(room->gid), WIRE_STRING(room->base) };

	return channel_send(rooms.starter, FRAME_ROOM_START, values, fd, why);
}

static void ask(const struct pool_question *question, struct channel *helper, uint64_t serial)
{
	const struct wire_value values[ROOM_ASK_FIELDS] = {
		WIRE_NUMBER(serial), WIRE_STRING(question->about), WIRE_BYTES(question->key, (size_t)(question->about - question->key - 1)),
	};

	channel_send(helper, FRAME_ROOM_ASK, values, -1, NULL);
}

static const struct pool_kind kind = {
	.seconds = ROOM_SECONDS, .slow_ms = ROOM_SLOW_MS, .idle_ms = POOL_IDLE_MS, .waiting_max = ROOM_WAITING_MAX, .tell = FRAME_ROOM_TELL,
	.late = "the mailbox does not answer", .broken = "the look into the mailbox broke off", .crowded = "too many looks into mailboxes wait",
	.log_stuck = "mailbox-stuck", .log_died = "quota-helper-died", .log_none = "no-quota-helper", .log_about = "path",
	.start = start, .ask = ask,
};

void rooms_begin(struct loop *loop, const struct configuration *conf, struct channel *starter)
{
	rooms.conf = conf;
	rooms.starter = starter;
	pool_begin(&rooms.pool, &kind, loop);
}

static bool room_fill(struct room *room, const struct meaning_of *meaning)
{
	char base[BASE_SIZE];

	base_of_mailbox(rooms.conf, meaning->maildir, base);
	room->uid = meaning->uid;
	room->gid = meaning->gid;
	if (asprintf(&room->who, "%u:%u:%s", (unsigned)room->uid, (unsigned)room->gid, base) < 0)
		room->who = NULL;
	if (asprintf(&room->key, "%s:%s", meaning->quota, meaning->maildir) < 0)
		room->key = NULL;
	if (!room->who || !room->key)
		return false;
	room->base = room->who + strlen(room->who) - strlen(base);
	room->question = (struct pool_question){
		.who = room->who, .key = room->key, .about = room->key + strlen(meaning->quota) + 1, .done = told,
	};
	return true;
}

void room_ask(struct room *room, const struct meaning_of *meaning, void (*done)(struct room *, bool is_full))
{
	struct quota quota;

	*room = (struct room){ .done = done };
	/* an instance of a user's own can look as that user alone, as it delivers */
	if (!meaning->quota[0] || meaning->is_mbox || !quota_parse(meaning->quota, &quota) ||
	    (geteuid() != 0 && meaning->uid != geteuid()) || !room_fill(room, meaning)) {
		room_clear(room);
		done(room, false);
		return;
	}
	pool_ask(&rooms.pool, &room->question);
}
