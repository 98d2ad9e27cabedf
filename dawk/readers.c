#include "readers.h"
#include "queue_view.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ALONE = 256,			/* messages that the caller reads himself, before there are readers */
	SHARE = 256,			/* messages in a share */
	DEPTH = 2,			/* shares that a reader has been given */
	READERS_EACH = 2,		/* a processor, */
	READERS_LEAST = 8,		/* but so many, for a disk that has to be waited for: it likes to be asked for much at a time */
	READERS_MAX = 32,
	PIECE_BYTES = 64 << 10,		/* what is written goes out when it is so much */
};

struct name { unsigned char place; char id[QUEUE_ID_LENGTH]; };
struct share { uint32_t count; struct name names[SHARE]; };
struct piece { uint64_t length; bool is_last; struct readers_tally tally; };

struct reader { pid_t pid; int fd; };	/* shares go in, pieces come out */

struct crowd {
	const struct readers_job *job;
	struct reader readers[READERS_MAX];
	size_t size;			/* of readers; 0: there are none (yet) */
	bool is_alone;			/* there will be none */
	uint64_t alone, given, taken;	/* messages, shares, shares */
	struct share share;		/* the next one */
	FILE *out;			/* in memory: BYTES, LENGTH of them after a flush */
	char *bytes;
	size_t length;
	stralloc taken_bytes;
	bool is_enough, is_broken;
};

static bool read_all(int fd, void *out, size_t length)
{
	char *at = out;
	while (length) {
		ssize_t got = read(fd, at, length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		length -= (size_t)got;
	}
	return true;
}

static bool send_all(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;
	while (length) {
		ssize_t done = send(fd, at, length, MSG_NOSIGNAL);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		at += done;
		length -= (size_t)done;
	}
	return true;
}

/* ---- in a reader ---- */

static bool send_piece(struct crowd *crowd, int fd, struct piece *piece)
{
	if (fflush(crowd->out) || ferror(crowd->out))
		return false;
	piece->length = crowd->length;
	bool is_sent = send_all(fd, piece, sizeof *piece) && send_all(fd, crowd->bytes, crowd->length);
	rewind(crowd->out);
	*piece = (struct piece){ 0 };
	return is_sent;
}

static void read_name(struct crowd *crowd, const struct name *name, struct readers_tally *tally)
{
	char id[QUEUE_ID_LENGTH + 1] = { 0 };
	memcpy(id, name->id, QUEUE_ID_LENGTH);
	crowd->job->read(crowd->job->context, (enum queue_place)name->place, id, crowd->out, tally);
}

static void read_shares(struct crowd *crowd, int fd)
{
	struct share *share = &crowd->share;
	struct piece piece = { 0 };
	while (read_all(fd, &share->count, sizeof share->count) && read_all(fd, share->names, share->count * sizeof *share->names)) {
		for (uint32_t i = 0; i < share->count; i++) {
			read_name(crowd, &share->names[i], &piece.tally);
			piece.is_last = i + 1 == share->count;
			if ((piece.is_last || ftello(crowd->out) >= PIECE_BYTES) && !send_piece(crowd, fd, &piece))
				return;
		}
	}
}

/* ---- in the caller ---- */

/* A reader holds no end of another's: it ends when the caller does. */
static bool fork_reader(struct crowd *crowd)
{
	struct reader *reader = &crowd->readers[crowd->size];
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return false;
	fflush(stdout);		/* what stands there is not a reader's to write, however it ends */
	*reader = (struct reader){ fork(), ends[0] };
	if (reader->pid == 0) {
		for (size_t i = 0; i <= crowd->size; i++)
			close(crowd->readers[i].fd);
		read_shares(crowd, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (reader->pid < 0)
		close(ends[0]);
	else
		crowd->size++;
	return reader->pid > 0;
}

static void fork_readers(struct crowd *crowd)
{
	cpu_set_t set;
	size_t wanted = sched_getaffinity(0, sizeof set, &set) ? 0 : (size_t)CPU_COUNT(&set) * READERS_EACH;
	if (wanted < READERS_LEAST)
		wanted = READERS_LEAST;
	while (crowd->size < wanted && crowd->size < READERS_MAX && fork_reader(crowd))
		;
	crowd->is_alone = crowd->size == 0;
}

static void end_readers(struct crowd *crowd)
{
	for (size_t i = 0; i < crowd->size; i++)
		close(crowd->readers[i].fd);
	for (size_t i = 0; i < crowd->size; i++)
		while (waitpid(crowd->readers[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
}

static bool take_piece(struct crowd *crowd, int fd, struct piece *piece)
{
	stralloc *bytes = &crowd->taken_bytes;
	if (!read_all(fd, piece, sizeof *piece) || !stralloc_ready(bytes, piece->length + 1) || !read_all(fd, bytes->s, piece->length))
		return false;
	crowd->is_enough = !crowd->job->take(crowd->job->context, bytes->s, piece->length, &piece->tally);
	return true;
}

/* Takes the pieces of the share that was given first. */
static void take_share(struct crowd *crowd)
{
	int fd = crowd->readers[crowd->taken++ % crowd->size].fd;
	struct piece piece = { 0 };
	while (!piece.is_last && !crowd->is_enough && !crowd->is_broken)
		crowd->is_broken = !take_piece(crowd, fd, &piece);
}

/* To the readers in turn; a socket has room for all the names that are given ahead. */
static void give_share(struct crowd *crowd)
{
	struct share *share = &crowd->share;
	if (crowd->given - crowd->taken == crowd->size * DEPTH)
		take_share(crowd);
	int fd = crowd->readers[crowd->given++ % crowd->size].fd;
	crowd->is_broken |= !send_all(fd, &share->count, sizeof share->count) || !send_all(fd, share->names, share->count * sizeof *share->names);
	share->count = 0;
}

static void read_alone(struct crowd *crowd, const struct name *name)
{
	struct readers_tally tally = { 0 };
	crowd->alone++;
	read_name(crowd, name, &tally);
	crowd->is_broken = fflush(crowd->out) || ferror(crowd->out);
	if (!crowd->is_broken)
		crowd->is_enough = !crowd->job->take(crowd->job->context, crowd->bytes, crowd->length, &tally);
	rewind(crowd->out);
}

static bool take_name(void *context, enum queue_place place, const char *id)
{
	struct crowd *crowd = context;
	struct name name = { .place = (unsigned char)place };
	memcpy(name.id, id, QUEUE_ID_LENGTH);
	if (!crowd->size && !crowd->is_alone && crowd->alone == ALONE)
		fork_readers(crowd);
	if (!crowd->size) {
		read_alone(crowd, &name);
	} else {
		crowd->share.names[crowd->share.count++] = name;
		if (crowd->share.count == SHARE)
			give_share(crowd);
	}
	return !crowd->is_enough && !crowd->is_broken;
}

enum result readers_walk(const struct queue_directories *queue, const struct readers_job *job, struct why *why)
{
	struct crowd crowd = { .job = job };
	crowd.out = open_memstream(&crowd.bytes, &crowd.length);
	if (!crowd.out)
		return why_set(why, RESULT_RETRY, "out of memory");
	enum result result = view_walk(queue, take_name, &crowd, why);
	if (crowd.share.count && !crowd.is_enough && !crowd.is_broken)
		give_share(&crowd);
	while (crowd.taken < crowd.given && !crowd.is_enough && !crowd.is_broken)
		take_share(&crowd);
	end_readers(&crowd);
	fclose(crowd.out);
	free(crowd.bytes);
	stralloc_free(&crowd.taken_bytes);
	if (result == RESULT_OK && crowd.is_broken)
		return why_set(why, RESULT_RETRY, "out of memory, or a reader of the queue was ended from outside");
	return result;
}
