#include "authd/session_commands.h"
#include "common/maildir.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct argument { const char *text; size_t length; };

enum result input_take_line(struct input *in, const char **line, size_t *length)
{
	char *begin = in->bytes + in->used;
	size_t left = in->length - in->used;
	char *newline = memchr(begin, '\n', left);
	bool was_skipping = in->is_skipping;

	if (!newline && left < COMMAND_LINE_MAX)
		return RESULT_RETRY;
	in->is_skipping = !newline;
	in->used += newline ? (size_t)(newline - begin) + 1 : left;
	if (was_skipping)
		return input_take_line(in, line, length);
	*line = begin;
	*length = newline ? (size_t)(newline - begin) : left;
	if (!newline || *length > COMMAND_LINE_MAX)
		return RESULT_PEER;
	if (*length && begin[*length - 1] == '\r')
		--*length;
	return RESULT_OK;
}

static void say(struct session *s, const char *words)
{
	output_put(&s->output, words, strlen(words));
}

void session_bad_command(struct session *s, const char *words)
{
	output_format(&s->output, "-ERR %s\r\n", words);
	if (++s->errors < s->start->error_limit)
		return;
	say(s, "-ERR too many errors\r\n");
	s->is_over = true;
	s->end = "errors";
}

static void session_say_count(struct session *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->drop.count; i++)
		count += !s->drop.messages[i].is_deleted;
	output_format(&s->output, "+OK maildrop has %zu message%s\r\n", count, count == 1 ? "" : "s");
}

void session_greet(struct session *s)
{
	session_say_count(s);
}

/* RFC 1939 5: numbers from 1, of messages that are not marked as deleted. NULL: it was answered. */
static struct message *take_message(struct session *s, const struct argument *argument)
{
	uint64_t number;

	if (!text_to_number(argument->text, argument->length, &number)) {
		session_bad_command(s, "a message number is missing");
		return NULL;
	}
	if (number < 1 || number > s->drop.count) {
		say(s, "-ERR no such message\r\n");
		return NULL;
	}
	if (s->drop.messages[number - 1].is_deleted) {
		say(s, "-ERR this message is marked as deleted\r\n");
		return NULL;
	}
	return &s->drop.messages[number - 1];
}

static unsigned number_of(const struct session *s, const struct message *m)
{
	return (unsigned)(m - s->drop.messages) + 1;
}

static void stat_maildrop(struct session *s, const struct argument *arguments)	/* RFC 1939 5 */
{
	uint64_t octets = 0;
	size_t count = 0;

	(void)arguments;
	maildrop_size_all(&s->drop);
	for (size_t i = 0; i < s->drop.count; i++) {
		if (s->drop.messages[i].is_deleted)
			continue;
		octets += s->drop.messages[i].octets;
		count++;
	}
	output_format(&s->output, "+OK %zu %" PRIu64 "\r\n", count, octets);
}

static void list_row(struct session *s, const char *before, const struct message *m)
{
	output_format(&s->output, "%s%u %" PRIu64 "\r\n", before, number_of(s, m), m->octets);
}

static void uidl_row(struct session *s, const char *before, const struct message *m)
{
	char id[MAILDROP_UIDL_MAX + 1];

	name_unique_id(maildrop_name(&s->drop, m), m->unique_length, id);
	output_format(&s->output, "%s%u %s\r\n", before, number_of(s, m), id);
}

static void all_rows(struct session *s, void (*row)(struct session *, const char *, const struct message *))
{
	say(s, "+OK\r\n");
	for (size_t i = 0; i < s->drop.count; i++)
		if (!s->drop.messages[i].is_deleted)
			row(s, "", &s->drop.messages[i]);
	say(s, ".\r\n");
}

static void list(struct session *s, const struct argument *arguments)	/* RFC 1939 5 */
{
	struct message *m;

	if (!arguments[0].length) {
		maildrop_size_all(&s->drop);
		all_rows(s, list_row);
		return;
	}
	m = take_message(s, &arguments[0]);
	if (!m)
		return;
	maildrop_size_message(&s->drop, m);
	list_row(s, "+OK ", m);
}

static void uidl(struct session *s, const struct argument *arguments)	/* RFC 1939 7 */
{
	struct message *m;

	if (!arguments[0].length) {
		all_rows(s, uidl_row);
		return;
	}
	m = take_message(s, &arguments[0]);
	if (m)
		uidl_row(s, "+OK ", m);
}

/* ---- messages ---- */

static void drop_ahead(struct session *s)
{
	if (s->ahead.message)
		close(s->ahead.fd);
	s->ahead.message = NULL;
}

void session_read_ahead(struct session *s)
{
	struct session_ahead *ahead = &s->ahead;
	struct message *next = ahead->last + 1;
	struct why why;

	if (!ahead->is_wanted)
		return;
	ahead->is_wanted = false;
	if (next == s->drop.messages + s->drop.count || next->is_deleted ||
	    maildrop_open_message(&s->drop, next, &ahead->fd, &why) != RESULT_OK)
		return;
	ahead->message = next;
	content_read_ahead(ahead->fd, &ahead->content);
}

/* M, opened by now or before; *AHEAD: what was read of it, or NULL. */
static enum result open_message(struct session *s, struct message *m, int *fd, const struct content_ahead **ahead)
{
	*ahead = NULL;
	if (s->ahead.message != m) {
		drop_ahead(s);
		return maildrop_open_message(&s->drop, m, fd, &s->why);
	}
	*fd = s->ahead.fd;
	*ahead = &s->ahead.content;
	s->ahead.message = NULL;
	return RESULT_OK;
}

/* A file that fails in the middle ends the session: no answer could say it any more. */
static void send_message(struct session *s, struct message *m, struct content *content)
{
	const struct content_ahead *ahead;
	enum result result;
	int fd;

	result = open_message(s, m, &fd, &ahead);
	if (result != RESULT_OK) {
		output_format(&s->output, "-ERR %s%s\r\n", result == RESULT_END ? "" : "[SYS/TEMP] ",
		              result == RESULT_END ? s->why.text : "unable to open the message");
		return;
	}
	if (m->octets == MAILDROP_OCTETS_UNKNOWN || content->is_top)
		say(s, "+OK message follows\r\n");
	else
		output_format(&s->output, "+OK %" PRIu64 " octets\r\n", m->octets);
	if (content_send(fd, ahead, content, &s->output, &s->why) == RESULT_OK) {
		content_end(content, &s->output);
		s->retrieved += !content->is_top;
	} else {
		s->is_over = true;
		s->end = "failed";
	}
	close(fd);
}

static void retr(struct session *s, const struct argument *arguments)	/* RFC 1939 5 */
{
	struct message *m = take_message(s, &arguments[0]);
	struct content content = { 0 };

	if (!m)
		return;
	send_message(s, m, &content);
	s->ahead.is_wanted = m == s->drop.messages || (s->ahead.last && m == s->ahead.last + 1);
	s->ahead.last = m;
}

static void top(struct session *s, const struct argument *arguments)	/* RFC 1939 7 */
{
	struct content content = { .is_top = true };
	struct message *m;

	if (!text_to_number(arguments[1].text, arguments[1].length, &content.body_lines)) {
		session_bad_command(s, "TOP takes a message number and a number of lines");
		return;
	}
	m = take_message(s, &arguments[0]);
	if (m)
		send_message(s, m, &content);
}

static void dele(struct session *s, const struct argument *arguments)	/* RFC 1939 5 */
{
	struct message *m = take_message(s, &arguments[0]);

	if (!m)
		return;
	m->is_deleted = true;
	say(s, "+OK marked as deleted\r\n");
}

static void rset(struct session *s, const struct argument *arguments)	/* RFC 1939 5 */
{
	(void)arguments;
	for (size_t i = 0; i < s->drop.count; i++)
		s->drop.messages[i].is_deleted = false;
	session_say_count(s);
}

static void noop(struct session *s, const struct argument *arguments)
{
	(void)arguments;
	say(s, "+OK\r\n");
}

static void last(struct session *s, const struct argument *arguments)	/* RFC 1725 took it away */
{
	(void)arguments;
	say(s, "-ERR LAST is not offered, use UIDL\r\n");
}

static void capa(struct session *s, const struct argument *arguments)	/* RFC 2449 5 */
{
	(void)arguments;
	say(s, "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n"
	       "UTF8 USER\r\nLANG\r\nIMPLEMENTATION dawk\r\n.\r\n");
}

static void utf8(struct session *s, const struct argument *arguments)	/* RFC 6856 2 */
{
	(void)arguments;
	say(s, "-ERR UTF8 goes before the login\r\n");
}

static void lang(struct session *s, const struct argument *arguments)	/* RFC 6856 3 */
{
	const struct argument *tag = &arguments[0];

	if (!tag->length)
		say(s, "+OK\r\nen English\r\n.\r\n");
	else if (text_equal_folded(tag->text, tag->length, "en", 2) || text_equal_folded(tag->text, tag->length, "*", 1))
		say(s, "+OK en English\r\n");
	else
		say(s, "-ERR this language is not spoken here\r\n");
}

static void tell_quota(const struct session *s, const struct maildrop_removed *removed)
{
	struct quota quota;

	if (removed->quota_messages && s->start->quota[0] && quota_parse(s->start->quota, &quota))
		quota_add(s->start->maildir, &quota, -(int64_t)removed->quota_bytes, -(int64_t)removed->quota_messages);
}

/* RFC 1939 6: the UPDATE state, once what was answered before is on its way: nothing is removed for
 * a client that is gone. The lock goes first, so that a client may come back at once. */
static void quit(struct session *s, const struct argument *arguments)
{
	struct maildrop_removed removed;
	enum result result;

	(void)arguments;
	s->is_over = true;
	output_flush(&s->output);
	if (s->output.is_broken)
		return;
	result = maildrop_update(&s->drop, &removed, &s->why);
	s->removed = removed.messages;
	tell_quota(s, &removed);
	if (s->drop.lock >= 0)
		close(s->drop.lock);
	s->drop.lock = -1;
	say(s, result == RESULT_OK ? "+OK bye\r\n" : "-ERR [SYS/TEMP] some deleted messages are not removed\r\n");
	s->end = "quit";
}

static const struct {
	const char *verb;
	int least, most;	/* arguments */
	void (*run)(struct session *, const struct argument *);
} commands[] = {
	{ "STAT", 0, 0, stat_maildrop },
	{ "LIST", 0, 1, list },
	{ "UIDL", 0, 1, uidl },
	{ "RETR", 1, 1, retr },
	{ "TOP",  2, 2, top },
	{ "DELE", 1, 1, dele },
	{ "RSET", 0, 0, rset },
	{ "NOOP", 0, 0, noop },
	{ "LAST", 0, 0, last },
	{ "CAPA", 0, 0, capa },
	{ "UTF8", 0, 0, utf8 },
	{ "LANG", 0, 1, lang },
	{ "QUIT", 0, 0, quit },
};

void session_command(struct session *s, const char *line, size_t length)
{
	struct argument words[4] = { { "", 0 }, { "", 0 }, { "", 0 }, { "", 0 } };
	const char *at = line, *end = line + length;
	int count = 0;

	while (count < 4 && text_next_word(&at, end, &words[count].text, &words[count].length))
		count++;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!text_equal_folded(words[0].text, words[0].length, commands[i].verb, strlen(commands[i].verb)))
			continue;
		if (count - 1 < commands[i].least || count - 1 > commands[i].most)
			session_bad_command(s, "wrong number of arguments");
		else
			commands[i].run(s, &words[1]);
		return;
	}
	session_bad_command(s, "no such command here");
}
