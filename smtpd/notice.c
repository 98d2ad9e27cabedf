#include "notice.h"

#include "common/log.h"
#include "session.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct transaction_client ourselves = { .session_id = "notice", .is_local = true, .is_extended = true };

/* What aliases make of it is added, as for any recipient. */
static enum reply add_recipient(struct transaction *t, const char *text)
{
	struct rcpt_parameters rcpt = { .notify = NOTIFY_NEVER };
	struct why why;

	if (address_parse(text, strlen(text), &rcpt.to, &why) != RESULT_OK)
		return SAY_BAD_RECIPIENT;
	t->mail.smtputf8 = t->mail.smtputf8 || rcpt.to.needs_smtputf8;
	resolve(t->worker->resolver, &rcpt.to, &t->worker->meaning, &why);
	return transaction_add_recipient(t, &rcpt);
}

static bool write_text(stralloc *out, const struct worker *worker, const char *user, const char *postmaster, const char *reason)
{
	const char *host = worker->conf->hostname;
	char date[TIME_RFC5322_MAX], id[QUEUE_ID_LENGTH + 1];

	time_format_rfc5322(date, time_real_us());
	queue_id_make(id);
	return text_append_format(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <%s>, <%s>\r\n"
	                          "Subject: Mail of %s is held\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n"
	                          "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	                          "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
	                          host, user, postmaster, user, date, id, host) &&
	       text_append_format(out, "This is the mail system at %s.\r\n\r\nNo more mail is taken from the account %s for now.\r\n"
	                          "What it sent of late looks as if somebody else had its password:\r\n\r\n    %s\r\n\r\n"
	                          "Mail for the account arrives as before. Mail programs that want to send keep\r\n"
	                          "their messages and try again.\r\n\r\n", host, user, reason) &&
	       text_append_format(out, "To the owner: if this was you, ask <%s> to release the account.\r\n"
	                          "If it was not, change the password, also where else you use it, and then ask.\r\n\r\n"
	                          "To the postmaster: the log of smtpd has the lines with user=%s.\r\n"
	                          "Look what waits by `dawk queue list --from %s`.\r\nGive the account a new password by `dawk user passwd %s`,\r\n"
	                          "and release it by `dawk user release %s`.\r\n", postmaster, user, user, user, user);
}

static void log_trouble(const char *user, const char *what)
{
	struct log_line line;

	log_start(&line, "unable-to-notify");
	log_text(&line, "user", user);
	log_text(&line, "why", what);
	log_end(&line);
}

/* The message is its own orphan: nobody waits for its answer, but the worker does not end before it. */
static void send_text(struct transaction *t, const char *user, const stralloc *text)
{
	struct transaction_client client = ourselves;
	struct worker *worker = t->worker;

	client.uid = (uint32_t)getuid();
	transaction_begin_content(t);
	t->is_chunked = true;
	transaction_feed_chunk(t, &client, text->s, text->len);
	worker->orphan_count++;
	if (transaction_finish(t, &client) == SAY_NOTHING)
		return;
	worker->orphan_count--;
	transaction_free(t);
	log_trouble(user, "the message could not be written");
}

void notice_held(struct worker *worker, const char *user, const char *reason)
{
	struct mail_parameters mail = { .body = BODY_8BITMIME };
	char postmaster[ADDRESS_MAX + 1];
	stralloc text = { 0 };

	mail.from.domain = mail.from.text;
	snprintf(postmaster, sizeof postmaster, "postmaster@%.*s", ADDRESS_DOMAIN_MAX, worker->conf->domains.items[0]);
	struct transaction *t = transaction_make(worker, NULL, &mail);
	bool is_written = t && write_text(&text, worker, user, postmaster, reason);
	bool has_owner = is_written && add_recipient(t, user) == SAY_RECIPIENT_OK;
	bool has_postmaster = is_written && add_recipient(t, postmaster) == SAY_RECIPIENT_OK;
	if (has_owner || has_postmaster) {
		send_text(t, user, &text);
	} else {
		log_trouble(user, is_written ? "neither of them is a recipient here" : "no memory");
		transaction_free(t);
	}
	stralloc_free(&text);
}
