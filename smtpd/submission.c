#include "submission.h"

#include "common/held.h"
#include "common/log.h"
#include "common/senders.h"
#include "hold.h"
#include "mailboxes.h"
#include "usage.h"
#include <stdio.h>
#include <string.h>

static uint64_t now_seconds(const struct session *s)
{
	return loop_now_ms(s->worker->loop) / 1000;
}

static void log_user(struct log_line *line, const struct session *s, const char *event)
{
	char ip[NETWORK_TEXT_MAX];

	log_start(line, event);
	log_text(line, "session", s->id);
	log_text(line, "client", ip_text(&s->ip, ip));
	log_text(line, "user", s->user);
}

/* ---- as whom ---- */

static void log_foreign(const struct session *s, const char *where, const struct address *address)
{
	struct log_line line;

	log_user(&line, s, "foreign-sender");
	log_text(&line, "in", where);
	log_text(&line, "address", address->text);
	log_end(&line);
}

/* SAY_OK, or REFUSED with its words. WHERE: "reverse-path", or the field's name. */
static enum reply judge_address(struct session *s, const char *where, const struct address *address, enum reply refused)
{
	enum sender_reason reason;
	struct log_line line;
	struct why why;

	switch (senders_judge(s->worker->senders, s->user, address, &reason, &why)) {
	case RESULT_OK:
		return SAY_OK;
	case RESULT_END:
		log_foreign(s, where, address);
		session_words(s, *address->domain ? "%s: <%s> is not an address of %s" : "%s: <%s> has no domain, and is not an address of %s",
		              where, address->text, s->user);
		return refused;
	default:
		log_user(&line, s, "unable-to-judge-sender");
		log_why(&line, &why);
		log_end(&line);
		return SAY_LATER;
	}
}

/* The null reverse-path is for everybody: mail programs send disposition notifications with it (RFC 8098 3). */
static enum reply judge_reverse_path(struct session *s, const struct address *from)
{
	if (s->worker->conf->submission_from == SUBMISSION_FROM_OFF || from->length == 0)
		return SAY_OK;
	return judge_address(s, "reverse-path", from, SAY_NOT_YOUR_ADDRESS);
}

struct judging { struct session *s; const char *field; enum reply reply; };

static bool judge_mailbox(void *context, const struct address *address)
{
	struct judging *judging = context;

	judging->reply = judge_address(judging->s, judging->field, address, SAY_REJECTED);
	return judging->reply == SAY_OK;
}

static enum reply bad_header(struct session *s, const char *field, const char *what)
{
	session_words(s, "%s: %s", field, what);
	return SAY_BAD_HEADER;
}

/* VALUE of the field, COUNT of which there are. MOST: addresses in it. */
static enum reply judge_field(struct session *s, const char *field, const stralloc *value, uint32_t count, size_t most)
{
	struct judging judging = { s, field, SAY_OK };
	size_t found = 0;
	struct why why = { .errno_value = 0 };

	if (count == 0)
		return SAY_OK;
	if (count > 1)
		return bad_header(s, field, "there is more than one such field");	/* RFC 5322 3.6 */
	switch (mailboxes_read(value->s, value->len, judge_mailbox, &judging, &found, &why)) {
	case RESULT_OK:	 break;
	case RESULT_END: return judging.reply;
	default:	 return bad_header(s, field, why.text);
	}
	if (found == 0)
		return bad_header(s, field, "it names nobody");
	return found > most ? bad_header(s, field, "it names more than one") : SAY_OK;
}

/* RFC 5322 3.6.2: From are the authors, Sender who sent it; RFC 6409 8.1 would let us add a Sender, but all of From
 * has to be the user's own. Without a From one is added, unless a signature says that there is none. */
static enum reply judge_header(struct session *s)
{
	const struct transaction *t = s->transaction;
	const struct author *author = t->author;

	if (!author || author->is_short_of_memory)
		return SAY_NO_MEMORY;
	if (t->header.is_broken)
		return bad_header(s, "header", "a line of it is no field");
	if (author->is_too_long)
		return bad_header(s, "header", "From or Sender is longer than 16384 bytes");
	if (author->from_count == 0 && (author->signed_fields & HEADER_FROM || t->is_unrepaired))
		return bad_header(s, "From", "there is none");
	enum reply reply = judge_field(s, "From", &author->from, author->from_count, MAILBOXES_MAX);
	return reply == SAY_OK ? judge_field(s, "Sender", &author->sender, author->sender_count, 1) : reply;
}

/* ---- how much ---- */

static const struct { const char *counted, *window; } limit_words[USER_LIMITS] = {
	[USER_MESSAGES_HOUR] = { "messages", "an hour" }, [USER_MESSAGES_DAY] = { "messages", "a day" },
	[USER_RECIPIENTS_HOUR] = { "recipients", "an hour" }, [USER_RECIPIENTS_DAY] = { "recipients", "a day" },
	[USER_STRANGERS_HOUR] = { "recipients it had not written to before", "an hour" },
	[USER_NETWORKS_HOUR] = { "networks it came from", "an hour" },
	[USER_REFUSALS_HOUR] = { "refused recipients and messages", "an hour" },
};

static enum reply say_limited(struct session *s, const struct usage_verdict *verdict)
{
	uint32_t minutes = (verdict->wait_seconds + 59) / 60;
	struct log_line line;

	if (verdict->is_news) {
		log_user(&line, s, "user-limited");
		log_text(&line, "limit", user_limit_names[verdict->limit]);
		log_number(&line, "most", verdict->most);
		log_number(&line, "count", verdict->count);
		log_number(&line, "wait-seconds", verdict->wait_seconds);
		log_end(&line);
	}
	session_words(s, "%s may send %u %s %s (%s): come again in %u %s", s->user, verdict->most, limit_words[verdict->limit].counted,
	              limit_words[verdict->limit].window, user_limit_names[verdict->limit],
	              minutes < 120 ? minutes : (minutes + 59) / 60, minutes == 1 ? "minute" : minutes < 120 ? "minutes" : "hours");
	return SAY_DEFERRED;
}

static enum reply say_held(struct session *s)
{
	session_words(s, "mail of %s is held: its owner was told why, postmaster@%s can release it", s->user, s->worker->conf->domains.items[0]);
	return SAY_DEFERRED;
}

static void account_trip(struct session *s, const struct usage_verdict *verdict)
{
	char reason[HELD_REASON_MAX + 1];

	snprintf(reason, sizeof reason, "%u %s within %s, %u are the limit (user-%s)", verdict->count, limit_words[verdict->limit].counted,
	         limit_words[verdict->limit].window, verdict->most, user_limit_names[verdict->limit]);
	hold_account(s, reason, false);
}

/* SAY_OK, or what the command is answered. */
static enum reply usage_reply(struct session *s, const struct usage_verdict *verdict)
{
	switch (verdict->outcome) {
	case USAGE_FREE:    return SAY_OK;
	case USAGE_LIMITED: return say_limited(s, verdict);
	case USAGE_TRIPPED: account_trip(s, verdict); return say_held(s);
	case USAGE_HELD:    return say_held(s);
	default:	    return SAY_LATER;
	}
}

static void log_released(const struct session *s)
{
	struct log_line line;

	log_user(&line, s, "account-released");
	log_end(&line);
}

static bool limits_of(struct session *s, struct usage_limits *limits)
{
	struct why why;

	if (senders_limits(s->worker->senders, s->user, limits->most, &why) == RESULT_OK)
		return true;
	log_failure("unable-to-read-limits", &why);
	return false;
}

static enum reply judge_message(struct session *s)
{
	const struct opening *shared = s->worker->opening;
	struct usage_limits limits;
	bool was_released;
	struct why why;
	enum result held = held_look(shared->held, s->user, &why);

	if (held == RESULT_RETRY)
		log_failure("unable-to-read-held", &why);
	if (held == RESULT_RETRY || !limits_of(s, &limits))
		return SAY_LATER;
	struct usage_verdict verdict = usage_message(shared->usage, s->user, now_seconds(s), &limits,
	                                             usage_network(shared->usage, &s->ip), held == RESULT_OK, &was_released);
	if (was_released)
		log_released(s);
	if (verdict.outcome == USAGE_HELD && verdict.is_news)	/* the disk was full, or the worker died over it */
		hold_account(s, "what it sent before; the log of smtpd says more", true);
	return usage_reply(s, &verdict);
}

/* ---- the commands ---- */

enum reply submission_mail(struct session *s, const struct address *from)
{
	enum reply reply = SAY_OK;

	if (s->user)
		reply = judge_reverse_path(s, from);
	if (s->user && reply == SAY_OK)
		reply = judge_message(s);
	return reply == SAY_OK ? SAY_SENDER_OK : reply;
}

enum reply submission_recipient(struct session *s, const struct address *to)
{
	char folded[ADDRESS_MAX + 1];
	struct usage_limits limits;

	if (!s->user)
		return SAY_RECIPIENT_OK;
	if (!limits_of(s, &limits))
		return SAY_LATER;
	address_fold(to, folded);
	struct usage_verdict verdict = usage_recipient(s->worker->opening->usage, s->user, now_seconds(s), &limits, folded,
	                                               s->transaction->accepted_count == 0);
	enum reply reply = usage_reply(s, &verdict);
	return reply == SAY_OK ? SAY_RECIPIENT_OK : reply;
}

enum reply submission_content(struct session *s)
{
	enum reply reply = SAY_OK;

	if (!s->user)
		return SAY_NOTHING;
	if (usage_is_held(s->worker->opening->usage, s->user, now_seconds(s)))
		return say_held(s);
	header_close(&s->transaction->header);
	if (s->worker->conf->submission_from == SUBMISSION_FROM_ENFORCE)
		reply = judge_header(s);
	return reply == SAY_OK ? SAY_NOTHING : reply;
}

void submission_note_refusal(struct session *s, enum reply reply)
{
	struct usage_limits limits;

	if (!s->user || reply_code(reply) < 500 || !limits_of(s, &limits))
		return;
	struct usage_verdict verdict = usage_refusal(s->worker->opening->usage, s->user, now_seconds(s), &limits);
	if (verdict.outcome == USAGE_TRIPPED)
		account_trip(s, &verdict);
}
