/* The beginning of a session: the greeting, EHLO, HELO, and what the host offers. RFC 5321 3.1, 3.2, 4.1.1.1. */
#include "remoted/login.h"
#include "remoted/security.h"
#include "remoted/session.h"

#include "common/text.h"
#include <stdio.h>
#include <string.h>

/* A host that does not want us now: another of the site may. */
static void turned_away(struct session *session)
{
	char words[SESSION_WORDS_MAX + 1], status[12];

	reply_status(&session->reply, "4.4.1", status);
	if (session->reply.code < 500)	/* also a 2xx or 3xx that does not belong here */
		status[0] = '4';
	if (session->reply.code >= 500 && session->order_next == session->order_count && session->job && !session->is_put_off && !session->may_pass) {
		/* the last of them refuses for good */
		job_tell_rest(session->job, DELIVERY_FAILED, status, session->host, session->reply.text);
		session_job_ended(session);
		return;
	}
	snprintf(words, sizeof words, "%.250s: %.400s", session->where, session->reply.text);
	session_note_trouble(session, status, words);
	session_leave_host(session);
}

void greeting_reply(struct session *session)
{
	if (session->reply.code != 220) {
		turned_away(session);
		return;
	}
	session_say_hello(session);
}

void session_say_hello(struct session *session)
{
	session->capabilities = 0;
	session->size_limit = 0;
	session_say(session, "%s %s\r\n", session->site->route.is_lmtp ? "LHLO" : "EHLO", remoted.conf->hostname);
	session_flush(session);
	session_wait(session, SESSION_EHLO);
}

void greeting_take_keyword(struct session *session, const char *line, size_t length)
{
	static const struct { const char *name; unsigned capability; } keywords[] = {
		{ "PIPELINING", CAN_PIPELINING }, { "SIZE", CAN_SIZE }, { "8BITMIME", CAN_8BITMIME },
		{ "SMTPUTF8", CAN_SMTPUTF8 }, { "DSN", CAN_DSN }, { "CHUNKING", CAN_CHUNKING },
		{ "STARTTLS", CAN_STARTTLS }, { "REQUIRETLS", CAN_REQUIRETLS },
	};
	size_t words_length, word_length, i;
	const char *at = reply_line_words(line, length, &words_length), *end = at + words_length, *word;

	if (!text_next_word(&at, end, &word, &word_length))
		return;
	for (i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (text_equal_folded(word, word_length, keywords[i].name, strlen(keywords[i].name)))
			session->capabilities |= keywords[i].capability;
	if (text_equal_folded(word, word_length, "AUTH", 4))
		session->capabilities |= login_mechanisms(at, end);
	else if (text_equal_folded(word, word_length, "SIZE", 4) && text_next_word(&at, end, &word, &word_length))
		text_to_number(word, word_length, &session->size_limit);
}

static void is_greeted(struct session *session)
{
	if (!security_greeted(session) && !login_begins(session))
		transaction_start(session);
}

void greeting_ehlo_reply(struct session *session)
{
	if (session->reply.code == 250) {
		is_greeted(session);
		return;
	}
	if (session->site->route.is_lmtp || session->reply.code == 421 || session->reply.code < 500) {
		turned_away(session);
		return;
	}
	session->capabilities = 0;
	session_say(session, "HELO %s\r\n", remoted.conf->hostname);
	session_flush(session);
	session_wait(session, SESSION_HELO);
}

void greeting_helo_reply(struct session *session)
{
	if (session->reply.code == 250)
		is_greeted(session);
	else
		turned_away(session);
}
