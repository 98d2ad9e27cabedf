/* One message over a ready connection: RFC 5321 3.3, pipelined where the other side can (RFC 2920). */
#include "remoted/session.h"

#include <stdio.h>
#include <string.h>

/* ---- may this message go there? ---- */

static void refuse(struct session *session, const char *status, const char *words)
{
	session->job->is_call_answered = true;
	job_tell_rest(session->job, DELIVERY_FAILED, status, session->host, words);
	session->accepted = 1;		/* nothing was said yet: no RSET is needed */
	session->state = SESSION_FINAL;
	session->reply.code = 250;
	session_job_ended(session);
}

/* RESULT_OK; RESULT_NEVER: refused, the job is over; RESULT_RETRY: deferred, the job is over. */
static enum result check_content(struct session *session)
{
	struct job *job = session->job;
	struct why why = { 0 };
	enum result result;

	if ((session->capabilities & CAN_SIZE) && session->size_limit && job->length > session->size_limit) {
		char words[200];
		snprintf(words, sizeof words, "the message has %llu bytes, %.100s takes %llu at most", (unsigned long long)job->length,
		         session->host, (unsigned long long)session->size_limit);
		refuse(session, "5.3.4", words);
		return RESULT_NEVER;
	}
	if ((job->flags & REMOTE_SMTPUTF8) && !(session->capabilities & CAN_SMTPUTF8)) {
		refuse(session, "5.6.7", "the message needs SMTPUTF8, which the next host does not offer");
		return RESULT_NEVER;
	}
	if ((session->capabilities & CAN_8BITMIME) || job->call)
		return RESULT_OK;
	result = body_scan(job->message, job->offset, job->length, &why);
	if (result == RESULT_OK)
		return RESULT_OK;
	if (result == RESULT_END)
		refuse(session, "5.6.3", "the message holds 8-bit text, which the next host does not take (no 8BITMIME)");
	else
		session_fail(session, "4.3.0", why.text);
	return RESULT_NEVER;
}

/* ---- the envelope ---- */

static bool say_mail(struct session *session)
{
	const struct job *job = session->job;
	bool is_ok = session_say(session, "MAIL FROM:<%s>", job->reverse_path);

	if ((session->capabilities & CAN_SIZE) && !job->call)
		is_ok = is_ok && session_say(session, " SIZE=%llu", (unsigned long long)job->length);
	if ((session->capabilities & CAN_8BITMIME) && job->body != BODY_7BIT)
		is_ok = is_ok && session_say(session, " BODY=8BITMIME");
	if (job->flags & REMOTE_SMTPUTF8)
		is_ok = is_ok && session_say(session, " SMTPUTF8");
	if ((job->flags & REMOTE_REQUIRETLS) && (session->capabilities & CAN_REQUIRETLS))	/* security.c sees to it, but for a Unix socket */
		is_ok = is_ok && session_say(session, " REQUIRETLS");
	if ((session->capabilities & CAN_DSN) && (job->flags & (REMOTE_RETURN_FULL | REMOTE_RETURN_HEADERS)))
		is_ok = is_ok && session_say(session, " RET=%s", job->flags & REMOTE_RETURN_FULL ? "FULL" : "HDRS");
	if ((session->capabilities & CAN_DSN) && job->envid[0])
		is_ok = is_ok && session_say(session, " ENVID=%s", job->envid);
	return is_ok && session_say(session, "\r\n");
}

static bool say_rcpt(struct session *session, const struct job_recipient *recipient)
{
	static const struct { unsigned bit; const char *name; } names[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	bool is_ok = session_say(session, "RCPT TO:<%s>", recipient->address);
	size_t i, count = 0;

	if (session->capabilities & CAN_DSN) {
		for (i = 0; i < sizeof names / sizeof *names; i++)
			if (recipient->notify & names[i].bit)
				is_ok = is_ok && session_say(session, "%s%s", count++ ? "," : " NOTIFY=", names[i].name);
		if (recipient->orcpt[0])
			is_ok = is_ok && session_say(session, " ORCPT=%s", recipient->orcpt);
	}
	return is_ok && session_say(session, "\r\n");
}

/* The next piece of content, with its BDAT where the message goes in chunks, the last one with what ends it. RESULT_OK;
 * RESULT_RETRY: it can't be read; RESULT_PEER: too much is unsent. */
static enum result put_piece(struct session *session, struct why *why)
{
	static char in[BODY_PIECE], out[BODY_OUT_MAX];
	const struct job *job = session->job;
	bool has_content = session->body.is_chunked || session->accepted;
	char command[40];
	size_t got, length = 0;

	if (has_content && session->body_sent < job->length) {
		if (body_read(job->message, job->offset + session->body_sent, job->length - session->body_sent, in, &got, why) != RESULT_OK)
			return RESULT_RETRY;
		session->body_sent += got;
		length = body_convert(&session->body, in, got, out);
	}
	session->is_body_out = !has_content || session->body_sent == job->length;
	if (session->is_body_out)
		length += body_end(&session->body, out + length);
	if (session->body.is_chunked && (length || session->is_body_out)) {
		int n = snprintf(command, sizeof command, "BDAT %zu%s\r\n", length, session->is_body_out ? " LAST" : "");

		session->chunks++;
		if (stream_put(&session->stream, command, (size_t)n) != RESULT_OK)
			return why_set(why, RESULT_PEER, "the other side does not read");
	}
	if (stream_put(&session->stream, out, length) != RESULT_OK)
		return why_set(why, RESULT_PEER, "the other side does not read");
	return RESULT_OK;
}

/* A small message goes out behind its recipients without waiting for their answers: one round trip for all. What is
 * sent in vain when none of them is taken is little. */
static bool goes_at_once(const struct session *session)
{
	return session->body.is_chunked && (session->capabilities & CAN_PIPELINING) &&
	       session->job->length <= SESSION_AT_ONCE_BYTES && session->job->count + 2 <= SESSION_COMMANDS_MAX;
}

static bool say_command(struct session *session, size_t number)
{
	struct why why = { 0 };

	if (number == 0)
		return say_mail(session);
	if (number <= session->job->count)
		return say_rcpt(session, &session->job->recipients[number - 1]);
	if (session->body.is_chunked)
		return put_piece(session, &why) == RESULT_OK;
	return session_say(session, "DATA\r\n");
}

/* The last command of the envelope: DATA, a chunk that is the whole message, else the last RCPT. */
static size_t last_command(const struct session *session)
{
	return session->job->call || (session->body.is_chunked && !goes_at_once(session)) ? session->job->count : session->job->count + 1;
}

/* With PIPELINING the envelope and DATA go out together, as much as may be on the way at once; without, one at a time. */
static void say_more(struct session *session)
{
	size_t last = session->answered + (session->capabilities & CAN_PIPELINING ? SESSION_COMMANDS_MAX - 1 : 0);

	for (; session->sent <= last && session->sent <= last_command(session); session->sent++)
		if (!say_command(session, session->sent)) {
			session_fail(session, "4.3.0", "the envelope holds what can't be sent");
			return;
		}
	session_flush(session);
	session_wait(session, SESSION_ENVELOPE);
}

static bool takes_chunks(const struct session *session)
{
	return (session->capabilities & CAN_CHUNKING) && !session->site->route.never_chunks && !session->site->takes_no_chunks;
}

void transaction_start(struct session *session)
{
	struct job *job = session->job;
	size_t i;

	if (!job) {
		session_quit(session);
		return;
	}
	session->sent = session->answered = session->accepted = session->final_next = 0;
	session->mail_refused = session->is_body_out = false;
	session->body = (struct body){ .at_line_start = true, .is_chunked = takes_chunks(session) };
	session->body_sent = session->chunks = 0;
	for (i = 0; i < job->count; i++)
		job->recipients[i].is_accepted = false;
	if (check_content(session) == RESULT_OK)
		say_more(session);
}

/* ---- verdicts ---- */

/* 552 for a recipient means "too many recipients" with old hosts: RFC 5321 4.5.3.1.10. */
static enum delivery_verdict verdict_of(const struct session *session, bool is_recipient)
{
	int code = session->reply.code;

	if (code >= 500 && !(is_recipient && code == 552))
		return DELIVERY_FAILED;
	return DELIVERY_DEFERRED;
}

static void tell(struct session *session, struct job_recipient *recipient, enum delivery_verdict verdict, const char *fallback)
{
	char status[12];

	reply_status(&session->reply, fallback, status);
	if (verdict == DELIVERY_DEFERRED)
		status[0] = '4';
	session->refused += verdict == DELIVERY_FAILED || verdict == DELIVERY_DEFERRED;
	job_tell(session->job, recipient, verdict, status, session->host, session->reply.text);
}

static void tell_rest(struct session *session, enum delivery_verdict verdict, const char *fallback)
{
	size_t i;

	for (i = 0; i < session->job->count; i++)
		if (!session->job->recipients[i].is_told)
			tell(session, &session->job->recipients[i], verdict, fallback);
}

static enum delivery_verdict success_of(const struct session *session)
{
	if (session->site->route.is_lmtp)
		return DELIVERY_DELIVERED;	/* the mailbox itself, RFC 2033 */
	return session->capabilities & CAN_DSN ? DELIVERY_PASSED : DELIVERY_RELAYED;
}

/* ---- replies ---- */

static void mail_reply(struct session *session)
{
	if (session->reply.code / 100 == 2)
		return;
	session->mail_refused = true;
	if (session->job->call)		/* that says nothing of the recipient */
		job_tell_rest(session->job, DELIVERY_DEFERRED, "4.4.0", session->host, session->reply.text);
	tell_rest(session, verdict_of(session, false), "5.0.0");
}

static void rcpt_reply(struct session *session, struct job_recipient *recipient)
{
	if (session->mail_refused)
		return;		/* 503: it has its result */
	session->job->is_call_answered = true;
	if (session->reply.code / 100 == 2) {
		recipient->is_accepted = true;
		session->accepted++;
		if (session->job->call)
			tell(session, recipient, DELIVERY_DELIVERED, "2.1.5");
		return;
	}
	tell(session, recipient, verdict_of(session, true), "5.1.0");
}

static void data_reply(struct session *session)
{
	if (session->reply.code == 354) {
		session_wait(session, SESSION_BODY);
		transaction_more_body(session);
		return;
	}
	if (session->accepted)
		tell_rest(session, verdict_of(session, false), "5.0.0");
	session->accepted = 0;
	session_job_ended(session);
}

/* All of it is answered; chunks are next, unless the only one is out with it. */
static void envelope_ended(struct session *session)
{
	if (session->is_body_out) {
		session_wait(session, SESSION_FINAL);
	} else if (session->accepted) {
		session_wait(session, SESSION_BODY);
		transaction_more_body(session);
	} else {
		session_job_ended(session);
	}
}

static void envelope_reply(struct session *session)
{
	struct job *job = session->job;
	size_t number = session->answered++;

	if (number == 0)
		mail_reply(session);
	else if (number <= job->count)
		rcpt_reply(session, &job->recipients[number - 1]);
	else {
		data_reply(session);
		return;
	}
	if (session->answered == job->count + 1 && job->call) {
		session_job_ended(session);
		return;
	}
	if (session->answered == job->count + 1 && session->body.is_chunked) {
		envelope_ended(session);
		return;
	}
	if (session->sent == job->count + 2) {
		session_wait(session, SESSION_ENVELOPE);
		return;		/* DATA is out: its answer ends the envelope */
	}
	if (!session->mail_refused && (session->answered <= job->count || session->accepted))
		say_more(session);
	else if (session->answered == session->sent)
		session_job_ended(session);
	else
		session_wait(session, SESSION_ENVELOPE);
}

/* After a chunk that was refused there is a transaction yet, which RSET ends: RFC 3030 2. */
static void end_content(struct session *session, bool is_ok)
{
	if (session->body.is_chunked && !is_ok)
		session->accepted = 0;
	session_job_ended(session);
}

/* A chunk was answered. false: it was not the last one, or it was refused; nothing is left to do. */
static bool is_final_chunk(struct session *session)
{
	int code = session->reply.code;

	session->chunks--;
	if (code >= 500 && code <= 504 && session->accepted) {	/* it offered CHUNKING, and knows no BDAT: not again */
		session->site->takes_no_chunks = true;
		tell_rest(session, DELIVERY_DEFERRED, "4.5.1");
		session_fail(session, "4.5.1", session->reply.text);
		return false;
	}
	if (session->is_body_out && !session->chunks)
		return true;
	if (code >= 200 && code < 300) {
		session_wait(session, session->state);
		if (session->state == SESSION_BODY && !(session->capabilities & CAN_PIPELINING))
			transaction_more_body(session);
		return false;
	}
	tell_rest(session, verdict_of(session, false), "5.0.0");
	end_content(session, false);	/* further answers may follow: they cost the connection */
	return false;
}

/* LMTP answers for each accepted recipient, in order: RFC 2033 4.2. */
static void final_reply(struct session *session)
{
	struct job *job = session->job;
	bool is_ok = session->reply.code >= 200 && session->reply.code < 300;
	enum delivery_verdict verdict = is_ok ? success_of(session) : verdict_of(session, false);

	if (!session->accepted) {	/* the empty message of a DATA that should not have been accepted, a chunk sent in vain */
		session_job_ended(session);
		return;
	}
	session->recipients += is_ok ? (session->site->route.is_lmtp ? 1 : session->accepted) : 0;
	if (!session->site->route.is_lmtp) {
		tell_rest(session, verdict, is_ok ? "2.0.0" : "5.0.0");
		end_content(session, is_ok);
		return;
	}
	while (session->final_next < job->count && !job->recipients[session->final_next].is_accepted)
		session->final_next++;
	if (session->final_next < job->count)
		tell(session, &job->recipients[session->final_next++], verdict, is_ok ? "2.0.0" : "5.0.0");
	while (session->final_next < job->count && !job->recipients[session->final_next].is_accepted)
		session->final_next++;
	if (session->final_next == job->count)
		end_content(session, is_ok);
	else
		session_wait(session, SESSION_FINAL);
}

/* The host will not take this message now, or nothing more over this connection: its words are the reason. */
static void put_off(struct session *session, bool is_mail)
{
	char status[12];

	reply_status(&session->reply, session->reply.code == 421 ? "4.4.2" : "4.0.0", status);
	session_note_trouble(session, status, session->reply.text);
	session->is_put_off |= is_mail;
	session_pass_on(session, status, session->reply.text);
}

void transaction_reply(struct session *session)
{
	bool is_mail = session->state == SESSION_ENVELOPE && !session->answered;

	if (session->reply.code == 421 || (is_mail && session->reply.code / 100 == 4)) {
		put_off(session, is_mail);
		return;
	}
	if (session->state == SESSION_BODY && !session->chunks) {	/* it gives up in the middle, or answers what nobody asked */
		tell_rest(session, verdict_of(session, false), "4.4.2");
		session_fail(session, "4.4.2", session->reply.text);
		return;
	}
	if (session->state == SESSION_ENVELOPE)
		envelope_reply(session);
	else if (!session->chunks || is_final_chunk(session))
		final_reply(session);
}

/* ---- the content ---- */

static void turn_came(struct timer *timer)
{
	struct session *session = container_of(timer, struct session, race);

	if (session->state == SESSION_BODY)
		transaction_more_body(session);
}

/* As much as goes out now, and no more than others can wait for. A body that ends early has no final dot, no last
 * chunk: the other side drops what it has. */
void transaction_more_body(struct session *session)
{
	struct why why = { 0 };
	size_t pieces;

	for (pieces = 0; !session->is_body_out; pieces++) {
		enum result result;

		if (session->chunks && !(session->capabilities & CAN_PIPELINING))
			return;		/* the next one with the answer */
		if (pieces == SESSION_TURN_PIECES) {
			loop_set_timer(remoted.loop, &session->race, 0, turn_came);
			return;
		}
		result = put_piece(session, &why);
		if (result != RESULT_OK) {
			session_fail(session, result == RESULT_PEER ? "4.4.2" : "4.3.0", why.text);
			return;
		}
		session_wait(session, session->is_body_out ? SESSION_FINAL : SESSION_BODY);
		if (stream_flush(&session->stream, &why) != RESULT_OK)
			return;		/* the rest when there is room; a failure is told by the read that follows */
	}
}
