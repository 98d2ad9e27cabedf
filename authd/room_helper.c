/* The helper: see room.h. It may block, within its time, and nothing else. */
#include "authd/room.h"
#include "common/helper.h"
#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAILDIRSIZE_READ_MAX = 16384, STALE_SECONDS = 15 * 60 };
/* Ten times this, in each line of a whole file, stays far below what fits. */
#define NUMBER_MAX (INT64_MAX / 100 / MAILDIRSIZE_READ_MAX)

/* Signed decimal at *AT; moves behind it. Bounded so that no sum of a whole file overflows: who owns
 * the mailbox writes what is read here. */
static int64_t take_signed(const char **at, const char *end)
{
	bool is_negative = *at < end && **at == '-';
	int64_t number = 0;

	*at += is_negative;
	for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
		if (number < NUMBER_MAX)
			number = number * 10 + (**at - '0');
	return is_negative ? -number : number;
}

/* Maildir++: a first line with the quota it was counted for, then lines "BYTES COUNT". */
static void add_up(const char *at, const char *end, int64_t *bytes, int64_t *messages)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	*bytes = *messages = 0;
	while (newline) {
		at = newline + 1;
		newline = memchr(at, '\n', (size_t)(end - at));
		while (at < end && *at == ' ')
			at++;
		*bytes += take_signed(&at, newline ? newline : end);
		while (at < end && *at == ' ')
			at++;
		*messages += take_signed(&at, newline ? newline : end);
	}
}

bool maildirsize_is_full(int fd, const struct quota *quota, uint64_t now_seconds)
{
	char text[MAILDIRSIZE_READ_MAX];
	int64_t bytes, messages;
	struct stat status;
	ssize_t got;

	if (fstat(fd, &status) || !S_ISREG(status.st_mode))
		return false;
	got = pread(fd, text, sizeof text, 0);
	/* one that fills the buffer is cut off, and counted afresh at the next delivery anyway */
	if (got <= 0 || got == (ssize_t)sizeof text || (uint64_t)status.st_mtim.tv_sec + STALE_SECONDS < now_seconds)
		return false;
	add_up(text, text + got, &bytes, &messages);
	return (quota->bytes && bytes >= 0 && (uint64_t)bytes >= quota->bytes) ||
	       (quota->messages && messages >= 0 && (uint64_t)messages >= quota->messages);
}

/* No link is followed but root's on the way to the mailbox: what lies behind one may hang. */
static int open_maildir(struct channel *channel, uint64_t serial, const char *maildir)
{
	int folder = helper_open(channel, serial, maildir);

	if (folder < 0 && errno == ELOOP)
		folder = open(maildir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return folder;
}

/* Nothing but a file is read. Closes FOLDER, which may be -1 with errno. *IS_SHUT_OUT: by the walls, or by the mailbox's modes. */
static bool is_full(int folder, const struct quota *quota, bool *is_shut_out)
{
	bool full = false;
	int fd = -1;

	if (folder >= 0)
		fd = openat(folder, "maildirsize", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*is_shut_out = fd < 0 && errno == EACCES;
	if (fd >= 0) {
		full = maildirsize_is_full(fd, quota, time_real_us() / 1000000);
		close(fd);
	}
	if (folder >= 0)
		close(folder);
	return full;
}

struct place { struct identity identity; const char *base; };

static enum result enter(const void *context, struct why *why)
{
	const struct place *place = context;
	const struct sandbox_path path = { place->base, ALLOW_READ };

	return sandbox_enter(ROLE_QUOTA, &place->identity, &path, 1, why);
}

static bool answer(struct channel *channel, const struct frame *f)
{
	char maildir[WIRE_PATH_LENGTH_MAX + 1], text[65];
	struct wire_value values[ROOM_TELL_FIELDS] = { WIRE_NUMBER(f->value[ROOM_ASK_SERIAL].number) };
	struct quota quota;
	bool is_shut_out;
	int folder;

	if (f->type != FRAME_ROOM_ASK || !frame_value_copy(f, ROOM_ASK_MAILDIR, maildir, sizeof maildir) ||
	    !frame_value_copy(f, ROOM_ASK_QUOTA, text, sizeof text) || !quota_parse(text, &quota))
		return false;
	folder = open_maildir(channel, f->value[ROOM_ASK_SERIAL].number, maildir);
	values[ROOM_TELL_IS_FULL] = (struct wire_value)WIRE_NUMBER(is_full(folder, &quota, &is_shut_out));
	/* a folder that was made since is behind its walls for this one: the next one may read it */
	return channel_send(channel, FRAME_ROOM_TELL, values, -1, NULL) == RESULT_OK && !is_shut_out;
}

int room_run(int fd, uid_t uid, gid_t gid, const char *base)
{
	const struct place place = { { .uid = uid, .gid = gid }, base };
	const struct helper_duty duty = {
		.name = "quota", .log_none = "no-quota-helper", .seconds = ROOM_SECONDS, .context = &place, .enter = enter, .answer = answer,
	};

	return helper_run(fd, &duty);
}
