#include "transaction.h"

#include "common/log.h"
#include "policy.h"
#include "session.h"
#include "trace.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct transaction *transaction_make(struct worker *worker, struct session *session, const struct mail_parameters *mail)
{
	struct transaction *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->worker = worker;
	t->session = session;
	t->mail = *mail;
	address_copy(&t->mail.from, &mail->from);
	t->fd = -1;
	return t;
}

static void transaction_drop_content(struct transaction *t)
{
	free(t->buffer);
	t->buffer = NULL;
	t->buffered = t->buffer_size = 0;
	if (t->fd < 0)
		return;
	close(t->fd);
	t->fd = -1;
	unlinkat(t->worker->opening->queue.place[QUEUE_TMP], t->commit.id, 0);
}

void transaction_free(struct transaction *t)
{
	if (!t)
		return;
	transaction_drop_content(t);
	critbit0_clear(&t->seen);
	stralloc_free(&t->recipients);
	if (t->author)
		author_free(t->author);
	free(t->author);
	free(t->user);
	free(t->asked);
	free(t);
}

/* The first reason stands; nothing more is kept of the content. */
static void transaction_refuse(struct transaction *t, enum reply reply)
{
	if (t->refused == SAY_NOTHING)
		t->refused = reply;
	transaction_drop_content(t);
}

/* ---- writing ---- */

static void log_trouble(const struct transaction *t, const struct transaction_client *client, const struct why *why)
{
	struct log_line line;

	log_start(&line, "unable-to-store");
	log_text(&line, "id", t->commit.id);
	log_text(&line, "session", client->session_id);
	log_number(&line, "bytes", t->received_bytes);
	log_why(&line, why);
	log_end(&line);
}

static void transaction_fail(struct transaction *t, const struct transaction_client *client, const struct why *why)
{
	bool is_full = why->errno_value == ENOSPC || why->errno_value == EDQUOT;

	log_trouble(t, client, why);
	transaction_refuse(t, is_full || why->errno_value == EMFILE || why->errno_value == ENFILE ? SAY_NO_SPACE : SAY_LATER);
}

static const char *transaction_protocol(const struct transaction *t, const struct transaction_client *client)
{
	return trace_protocol((client->is_extended ? TRACE_EXTENDED : 0U) | (t->mail.smtputf8 ? TRACE_UTF8 : 0U) |
	                      (client->tls ? TRACE_TLS : 0U) | (client->is_authenticated ? TRACE_AUTHENTICATED : 0U));
}

static struct trace transaction_trace(const struct transaction *t, const struct transaction_client *client)
{
	return (struct trace){
		.hostname = t->worker->conf->hostname, .helo = client->helo, .client_name = client->client_name,
		.client = client->ip, .is_local = client->is_local, .uid = client->uid,
		.is_hidden = client->user && t->worker->conf->hide_submitter,
		.protocol = transaction_protocol(t, client), .id = t->commit.id,
		.only_recipient = t->accepted_count == 1 ? t->only_recipient : NULL,
		.arrived_us = queue_id_time_us(t->commit.id),
	};
}

/* Received, then what submitted mail lacks; a message without any header gets the line that ends one. */
static bool transaction_make_trace(struct transaction *t, const struct transaction_client *client)
{
	struct trace trace = transaction_trace(t, client);
	stralloc *out = &t->worker->trace;
	const char *from = t->mail.from.text;
	bool is_repaired = client->is_submitted && t->header.is_over;
	struct header header = t->header;
	struct tls_facts facts;

	if (client->tls) {
		tls_facts(client->tls, &facts);
		trace.tls_cipher = facts.cipher;
		trace.tls_version = facts.version;
	}
	out->len = 0;
	if (!trace_append(out, &trace))
		return false;
	if (t->author)	/* what a signature says is not there stays away */
		header.fields |= t->author->signed_fields;
	t->is_unrepaired = client->is_submitted && !is_repaired;
	if (is_repaired && !trace_append_missing(out, &trace, &header, *from || !client->user ? from : client->user))
		return false;
	return !t->header.is_missing || text_append(out, "\r\n", 2);
}

static enum result transaction_make_head(struct transaction *t, const struct transaction_client *client, struct why *why)
{
	char ip[NETWORK_TEXT_MAX];
	struct envelope envelope = {
		.id = t->commit.id, .arrived_us = queue_id_time_us(t->commit.id), .from = t->mail.from.text,
		.protocol = transaction_protocol(t, client),
		.client = client->is_local ? "local" : ip_text(&client->ip, ip), .client_name = client->client_name,
		.helo = client->helo, .session = client->session_id, .is_local = client->is_local, .uid = client->uid,
		.authenticated = client->user, .body = t->mail.body, .needs_smtputf8 = t->mail.smtputf8,
		.requires_tls = t->mail.requires_tls, .tls_is_optional = t->header.is_tls_optional,
		.return_headers = t->mail.return_headers, .return_full = t->mail.return_full,
		.envid = *t->mail.envid ? t->mail.envid : NULL, .recipient_count = t->record_count,
	};

	if (!transaction_make_trace(t, client))
		return why_set(why, RESULT_RETRY, "no memory for the trace header");
	return envelope_append_head(&t->worker->head, &envelope, t->recipients.len, why);
}

static enum result transaction_open(struct transaction *t, struct why *why)
{
	t->fd = openat(t->worker->opening->queue.place[QUEUE_TMP], t->commit.id, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
	return t->fd < 0 ? why_errno(why, RESULT_RETRY, "unable to make queue/tmp/%s", t->commit.id) : RESULT_OK;
}

/* All of PIECES, which it changes. */
static enum result write_pieces(int fd, struct iovec *pieces, int count, struct why *why)
{
	while (count > 0) {
		ssize_t n = writev(fd, pieces, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return why_errno(why, RESULT_RETRY, "unable to write to queue/tmp");
		for (; count > 0 && (size_t)n >= pieces->iov_len; pieces++, count--)
			n -= (ssize_t)pieces->iov_len;
		if (count > 0) {
			pieces->iov_base = (char *)pieces->iov_base + n;
			pieces->iov_len -= (size_t)n;
		}
	}
	return RESULT_OK;
}

static struct iovec piece_of(const void *bytes, size_t length)
{
	return (struct iovec){ (void *)bytes, length };
}

/* Writes out what is buffered and BYTES behind it; before the first piece the head, behind the last the trailer. */
static enum result transaction_write(struct transaction *t, const struct transaction_client *client,
                                     const char *bytes, size_t length, bool is_last, struct why *why)
{
	char trailer[QUEUE_TRAILER_LENGTH + 1];
	struct iovec pieces[6];
	int count = 0;
	enum result result;

	if (!t->is_head_out) {
		result = transaction_make_head(t, client, why);
		if (result != RESULT_OK || (result = transaction_open(t, why)) != RESULT_OK)
			return result;
		pieces[count++] = piece_of(t->worker->head.s, t->worker->head.len);
		pieces[count++] = piece_of(t->recipients.s, t->recipients.len);
		pieces[count++] = piece_of(t->worker->trace.s, t->worker->trace.len);
		t->written_bytes = t->worker->trace.len;
		t->is_head_out = true;
	}
	pieces[count++] = piece_of(t->buffer, t->buffered);
	pieces[count++] = piece_of(bytes, length);
	t->written_bytes += t->buffered + length;
	if (is_last) {
		queue_trailer(trailer, t->written_bytes);
		pieces[count++] = piece_of(trailer, QUEUE_TRAILER_LENGTH);
	}
	result = write_pieces(t->fd, pieces, count, why);
	t->buffered = 0;
	return result;
}

/* ---- content ---- */

void transaction_begin_content(struct transaction *t)
{
	queue_id_make(t->commit.id);
	body_start(&t->body);
	header_start(&t->header);
	if (t->author)
		author_watch(t->author, &t->header);
	t->deadline_ms = loop_now_ms(t->worker->loop) + (uint64_t)t->worker->conf->message_timeout_seconds * 1000;
}

static bool transaction_grow(struct transaction *t, size_t needed)
{
	size_t size = t->buffer_size ? t->buffer_size : 4096;

	while (size < needed)
		size *= 2;
	if (size == t->buffer_size)
		return true;
	char *block = realloc(t->buffer, size);
	if (!block)
		return false;
	t->buffer = block;
	t->buffer_size = size;
	return true;
}

static void transaction_take(struct transaction *t, const struct transaction_client *client, const char *bytes, size_t length)
{
	struct why why;

	t->received_bytes += length;
	if (t->refused != SAY_NOTHING)
		return;
	header_feed(&t->header, bytes, length);
	if (t->received_bytes > t->worker->conf->message_size_limit_bytes) {
		transaction_refuse(t, SAY_TOO_BIG);
	} else if (t->buffered + length > TRANSACTION_BUFFER_MAX) {
		if (transaction_write(t, client, bytes, length, false, &why) != RESULT_OK)
			transaction_fail(t, client, &why);
	} else if (transaction_grow(t, t->buffered + length)) {
		memcpy(t->buffer + t->buffered, bytes, length);
		t->buffered += length;
	} else {
		transaction_refuse(t, SAY_NO_MEMORY);
	}
}

struct taking { struct transaction *t; const struct transaction_client *client; };

static void take_span(void *context, const char *bytes, size_t length)
{
	struct taking *taking = context;

	transaction_take(taking->t, taking->client, bytes, length);
}

/* What the form of the content says, as soon as it is known. */
static void transaction_judge_form(struct transaction *t)
{
	if (t->refused != SAY_NOTHING)
		return;
	if (t->body.has_bare_newline && !t->is_normalizing)
		transaction_refuse(t, SAY_BARE_NEWLINE);
	else if (t->body.has_long_line)
		transaction_refuse(t, SAY_TEXT_LINE_TOO_LONG);
	else if (t->header.received_count > t->worker->conf->received_limit)
		transaction_refuse(t, SAY_LOOP);	/* RFC 5321 6.3 */
}

enum result transaction_feed_data(struct transaction *t, const struct transaction_client *client,
                                  const char *bytes, size_t length, size_t *used)
{
	struct taking taking = { t, client };
	enum result result = body_feed(&t->body, bytes, length, used, take_span, &taking);

	transaction_judge_form(t);
	return result;
}

void transaction_feed_chunk(struct transaction *t, const struct transaction_client *client, const char *bytes, size_t length)
{
	struct taking taking = { t, client };

	t->chunk_bytes += length;
	body_feed_chunk(&t->body, bytes, length, false, take_span, &taking);
	transaction_judge_form(t);
}

/* ---- the commit ---- */

static void log_accepted(const struct transaction *t)
{
	struct log_line line;

	log_start(&line, "accepted");
	log_text(&line, "id", t->commit.id);
	log_text(&line, "session", t->session_id);
	log_text(&line, "client", t->client_text);
	log_text(&line, "user", t->user);
	log_text(&line, "from", t->mail.from.text);
	log_number(&line, "recipients", t->record_count);
	log_number(&line, "bytes", t->received_bytes);
	log_end(&line);
}

static void transaction_committed(struct commit *commit)
{
	struct transaction *t = container_of(commit, struct transaction, commit);
	struct session *session = t->session;
	struct worker *worker = t->worker;
	bool is_full = commit->why.errno_value == ENOSPC || commit->why.errno_value == EDQUOT;

	if (commit->result == RESULT_OK) {
		log_accepted(t);
	} else {
		struct transaction_client client = { .session_id = t->session_id };
		log_trouble(t, &client, &commit->why);
	}
	if (session) {
		session_committed(session, commit->result == RESULT_OK ? SAY_QUEUED : is_full ? SAY_NO_SPACE : SAY_LATER);
		return;
	}
	transaction_free(t);
	worker->orphan_count--;
	worker_note_gone(worker);
}

enum reply transaction_finish(struct transaction *t, const struct transaction_client *client)
{
	struct taking taking = { t, client };
	struct why why;

	if (t->is_chunked)
		body_feed_chunk(&t->body, "", 0, true, take_span, &taking);
	transaction_judge_form(t);
	header_close(&t->header);
	t->user = client->user ? strdup(client->user) : NULL;
	if (t->refused == SAY_NOTHING && transaction_write(t, client, NULL, 0, true, &why) != RESULT_OK)
		transaction_fail(t, client, &why);
	if (t->refused != SAY_NOTHING)
		return t->refused;
	free(t->buffer);
	t->buffer = NULL;
	t->buffer_size = 0;
	client->is_local ? (void)memcpy(t->client_text, "local", 6) : (void)ip_text(&client->ip, t->client_text);
	memcpy(t->session_id, client->session_id, strnlen(client->session_id, sizeof t->session_id - 1));
	t->commit.fd = t->fd;
	t->fd = -1;
	t->commit.done = transaction_committed;
	commit_submit(t->worker->committer, &t->commit);
	return SAY_NOTHING;
}
