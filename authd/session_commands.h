/* The commands of a POP3 session in TRANSACTION state. Used by session.c. */
#ifndef AUTHD_SESSION_COMMANDS_H
#define AUTHD_SESSION_COMMANDS_H

#include "authd/maildrop.h"
#include "authd/session.h"
#include "authd/session_content.h"

enum { COMMAND_LINE_MAX = 512 };	/* RFC 2449 4: 255 octets and more are not needed */

struct input {
	size_t used, length;
	bool is_skipping;	/* the rest of a line that was too long */
	char bytes[8192];
};
/* The next line of what is read, without its CRLF (a bare LF ends a line too). RESULT_OK;
 * RESULT_RETRY: not complete, there is room to read more; RESULT_PEER: one was too long: said once
 * a line, the rest of it is skipped. Pure. */
enum result input_take_line(struct input *in, const char **line, size_t *length);

/* Clients take one message after the other: the next one is opened, and its first block read, while this one is on its way. */
struct session_ahead {
	bool is_wanted;			/* the last answer was to RETR, of the first message or the one behind the last */
	struct message *last;		/* that one */
	struct message *message;	/* NULL: none is open */
	int fd;
	struct content_ahead content;
};

struct session {
	const struct session_start *start;
	struct maildrop drop;
	struct input input;
	struct output output;
	struct session_ahead ahead;
	bool is_over;		/* QUIT was answered, or too many errors */
	const char *end;	/* for the log: how it ended */
	uint32_t errors;
	uint64_t retrieved, removed, began_ms;
	struct why why;		/* of the last failure, for the log */
};

void session_greet(struct session *session);
/* Before a wait for the client, what was answered is sent: reads the message that will be asked for. */
void session_read_ahead(struct session *session);
/* Runs one command line and puts its answer. */
void session_command(struct session *session, const char *line, size_t length);
void session_bad_command(struct session *session, const char *words);

#endif
