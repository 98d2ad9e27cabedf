/* Taking in a message from a local program: line ends, its end, a file for what is large. */
#include "submit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the reader stands in a line. */
enum place { AT_START, AFTER_DOT, AFTER_DOT_CR, IN_LINE, AFTER_CR, AT_END };

struct intake {
	struct message *message;
	enum place place;
	bool dot_ends;
	char out[65536 + 8];
	size_t out_length;
};

/* File systems like NFS know no file without a name: there it has one for a moment. */
static int make_unnamed(const char *folder)
{
	char path[PATH_MAX];
	int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if (snprintf(path, sizeof path, "%s/sendmail.XXXXXX", folder) >= (int)sizeof path)
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static enum result make_file(struct message *message, struct why *why)
{
	const char *folder = getenv("TMPDIR");
	if (!folder || *folder != '/')
		folder = "/tmp";
	message->rest = make_unnamed(folder);
	if (message->rest < 0 && strcmp(folder, "/tmp"))
		message->rest = make_unnamed("/tmp");
	return message->rest >= 0 ? RESULT_OK : why_errno(why, RESULT_RETRY, "unable to make a temporary file in %s", folder);
}

static enum result write_rest(struct message *message, const char *bytes, size_t length, struct why *why)
{
	if (message->rest < 0 && make_file(message, why) != RESULT_OK)
		return RESULT_RETRY;
	while (length) {
		ssize_t wrote = write(message->rest, bytes, length);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return why_errno(why, RESULT_RETRY, "unable to keep the message in a temporary file");
		bytes += wrote;
		length -= (size_t)wrote;
	}
	return RESULT_OK;
}

static enum result flush(struct intake *intake, struct why *why)
{
	struct message *message = intake->message;
	size_t room = HEADER_MAX - message->head.len;
	size_t head = intake->out_length < room ? intake->out_length : room;
	if (!text_append(&message->head, intake->out, head))
		return why_set(why, RESULT_RETRY, "out of memory");
	enum result result = RESULT_OK;
	if (head < intake->out_length)
		result = write_rest(message, intake->out + head, intake->out_length - head, why);
	message->length += intake->out_length;
	intake->out_length = 0;
	return result;
}

static void put(struct intake *intake, const char *bytes, size_t length)
{
	memcpy(intake->out + intake->out_length, bytes, length);
	intake->out_length += length;
}

static void end_line(struct intake *intake)
{
	put(intake, "\r\n", 2);
	intake->place = AT_START;
}

/* One byte; at most four come out of it. */
static void take(struct intake *intake, char c)
{
	if (intake->place == AFTER_CR) {	/* a lone CR ends a line as well */
		end_line(intake);
		if (c == '\n')
			return;
	}
	if (intake->place == AFTER_DOT && c == '\r') {
		intake->place = AFTER_DOT_CR;
		return;
	}
	if ((intake->place == AFTER_DOT || intake->place == AFTER_DOT_CR) && c == '\n') {
		intake->place = AT_END;
		return;
	}
	if (intake->place == AFTER_DOT || intake->place == AFTER_DOT_CR) {
		put(intake, ".", 1);
		bool was_line = intake->place == AFTER_DOT_CR;
		intake->place = IN_LINE;
		if (was_line)
			end_line(intake);
	}
	if (c == '\n') {
		end_line(intake);
	} else if (c == '\r') {
		intake->place = AFTER_CR;
	} else if (c == '.' && intake->place == AT_START && intake->dot_ends) {
		intake->place = AFTER_DOT;
	} else {
		put(intake, &c, 1);
		intake->place = IN_LINE;
	}
}

/* A last line without its end gets it; a last dot without one ends the message all the same. */
static void finish(struct intake *intake)
{
	if (intake->place == IN_LINE || intake->place == AFTER_CR)
		end_line(intake);
}

static enum result read_all(struct intake *intake, int fd, struct why *why)
{
	char in[16384];
	enum result result = RESULT_OK;
	while (result == RESULT_OK && intake->place != AT_END) {
		ssize_t got = read(fd, in, sizeof in);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return why_errno(why, RESULT_RETRY, "unable to read the message");
		if (!got)
			break;
		for (ssize_t i = 0; i < got && intake->place != AT_END; i++)
			take(intake, in[i]);
		result = flush(intake, why);
	}
	if (result != RESULT_OK)
		return result;
	finish(intake);
	return flush(intake, why);
}

enum result message_read(struct message *message, int fd, bool dot_ends, struct why *why)
{
	*message = (struct message){ .rest = -1 };
	struct intake *intake = calloc(1, sizeof *intake);
	if (!intake)
		return why_set(why, RESULT_RETRY, "out of memory");
	intake->message = message;
	intake->dot_ends = dot_ends;
	enum result result = read_all(intake, fd, why);
	free(intake);
	return result;
}

void message_free(struct message *message)
{
	stralloc_free(&message->head);
	if (message->rest >= 0)
		close(message->rest);
	message->rest = -1;
}
