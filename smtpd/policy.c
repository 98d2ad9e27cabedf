#include "policy.h"

#include "access.h"
#include "ask.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- client, HELO, sender ---- */

static enum reply access_reply(struct session *s, enum result result, const struct access *access,
                               enum reply rejected, enum reply deferred, enum reply otherwise)
{
	if (result != RESULT_OK)
		return rejected == SAY_CLIENT_REJECTED ? SAY_TOO_BUSY : SAY_LATER;
	if (access->action != ACCESS_REJECT && access->action != ACCESS_DEFER)
		return otherwise;
	bool is_final = access->action == ACCESS_REJECT;
	session_words(s, "%s", *access->text ? access->text : is_final ? "refused here" : "try again later");
	return is_final ? rejected : deferred;
}

/* The local socket counts as one of ours, unless relaying is for nobody. */
bool policy_trusts(const struct session *s)
{
	const struct network_list *relay = &s->worker->conf->relay_networks;

	if (session_is_submission(s))
		return false;
	if (s->listener == LISTENER_LOCAL)
		return relay->count > 0 || relay->is_any;
	return network_list_contains(relay, &s->ip);
}

enum reply policy_client(struct session *s)
{
	struct access access;
	struct why why;

	s->may_relay = s->is_trusted;
	if (s->listener == LISTENER_LOCAL)
		return SAY_GREETING;
	enum result result = access_of_client(s->worker->access, &s->ip, s->client_name, &access, &why);
	if (result == RESULT_OK && access.action == ACCESS_RELAY && s->listener == LISTENER_SMTP)
		s->may_relay = true;
	return access_reply(s, result, &access, SAY_CLIENT_REJECTED, SAY_CLIENT_DEFERRED, SAY_GREETING);
}

enum reply policy_helo(struct session *s, const char *helo)
{
	struct access access;
	struct why why;
	enum result result = access_of_helo(s->worker->access, helo, &access, &why);

	return access_reply(s, result, &access, SAY_REJECTED, SAY_DEFERRED, SAY_HELO);
}

/* LOCAL@first domain. */
static bool policy_add_domain(struct session *s, struct address *address)
{
	char text[ADDRESS_MAX + 1];
	int length = snprintf(text, sizeof text, "%.*s@%s", (int)address->local_length, address->text, s->worker->conf->domains.items[0]);

	return length > 0 && (size_t)length < sizeof text && address_parse(text, (size_t)length, address, NULL) == RESULT_OK;
}

/* Of strangers, where look-ups are made at all; our own domains are known. */
static bool wants_domain_check(const struct session *s, const struct address *from)
{
	const struct configuration *conf = s->worker->conf;
	char folded[ADDRESS_MAX + 1];

	if (!conf->sender_domain_check || s->may_relay || s->is_authenticated || s->listener == LISTENER_LOCAL)
		return false;
	if (!*from->domain || from->is_literal || !worker_wants_names(conf, NULL))
		return false;
	address_fold(from, folded);
	const char *domain = strrchr(folded, '@') + 1;
	return !configuration_is_local_domain(conf, domain, strlen(domain)) && !configuration_is_relay_domain(conf, domain, strlen(domain));
}

enum reply policy_sender(struct session *s, struct address *from)
{
	struct access access;
	struct why why;

	if (from->length > 0 && !*from->domain && !(s->is_trusted && policy_add_domain(s, from)))
		return SAY_SENDER_NEEDS_DOMAIN;
	enum result result = access_of_sender(s->worker->access, from, &access, &why);
	enum reply known = access.action == ACCESS_NONE && wants_domain_check(s, from) ? SAY_NOTHING : SAY_SENDER_OK;
	return access_reply(s, result, &access, SAY_REJECTED, SAY_DEFERRED, known);
}

/* ---- recipient ---- */

static bool is_postmaster(const struct address *to)
{
	return !*to->domain && text_equal_folded(to->text, to->length, "postmaster", strlen("postmaster"));
}

/* RFC 5321 4.1.3: mail for the address that the client talks to is ours. */
static bool literal_is_ours(const struct session *s, const struct address *to)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct address_ip ip;
	char literal[NETWORK_TEXT_MAX + 8];

	if (!to->is_literal || s->listener == LISTENER_LOCAL || getsockname(s->stream.fd, (struct sockaddr *)&address, &size))
		return false;
	if (!ip_from_sockaddr((struct sockaddr *)&address, &ip, NULL))
		return false;
	ip_literal(&ip, literal);
	return text_equal_folded(literal, strlen(literal), to->domain, strlen(to->domain));
}

/* A host that we relay for might follow such a route itself, on our word. */
static bool holds_route(const struct address *to)
{
	for (size_t i = 0; i < to->local_length; i++)
		if (strchr("%!@", to->text[i]))
			return true;
	return false;
}

enum reply policy_inner_away(struct session *s)
{
	if (s->worker->conf->relay_away == RELAY_AWAY_ACCEPT)
		return SAY_RECIPIENT_OK;	/* what a backup MX is for */
	session_words(s, "%s", asks_words(s->worker->asks));
	return SAY_INNER_AWAY;
}

/* Of authd, or whether the inner host takes it. */
static enum reply policy_ask(struct session *s, const struct rcpt_parameters *rcpt, bool is_inner)
{
	struct transaction *t = s->transaction;

	if (!t->asked)
		t->asked = malloc(sizeof *t->asked);
	if (!t->asked)
		return SAY_NO_MEMORY;
	*t->asked = *rcpt;
	address_copy(&t->asked->to, &rcpt->to);
	char folded[ADDRESS_MAX + 1];
	address_fold(&rcpt->to, folded);
	if (is_inner)
		return ask_inner(s->worker->asks, s, folded, rcpt->to.text, &s->ticket) == RESULT_OK ? SAY_NOTHING : policy_inner_away(s);
	return ask(s->worker->asks, s, folded, &s->ticket) == RESULT_OK ? SAY_NOTHING : SAY_LATER;
}

static enum reply policy_local(struct session *s, const struct rcpt_parameters *rcpt, bool is_bare_postmaster)
{
	const struct meaning_of *meaning = &s->worker->meaning;

	switch (meaning->meaning) {
	case MEANS_ALIAS:
		return SAY_RECIPIENT_OK;
	case MEANS_MAILBOX:
		return *meaning->quota ? policy_ask(s, rcpt, false) : SAY_RECIPIENT_OK;
	case MEANS_UNKNOWN:
		if (is_bare_postmaster)
			return SAY_RECIPIENT_OK;	/* RFC 5321 4.5.1: always */
		return meaning->maybe_system ? policy_ask(s, rcpt, false) : SAY_NO_SUCH_RECIPIENT;
	default:
		return SAY_LATER;
	}
}

/* A gateway that took what the inner host refuses would have to send reports to forged senders: by the table, or the
 * inner host is asked. */
static enum reply policy_relay_recipient(struct session *s, const struct rcpt_parameters *rcpt)
{
	bool is_listed;
	struct why why;

	switch (resolve_relay_recipient(s->worker->resolver, &rcpt->to, &is_listed, &why)) {
	case RESULT_OK:	 return is_listed || s->worker->conf->relay_check == RELAY_CHECK_TABLE ? SAY_RECIPIENT_OK : policy_ask(s, rcpt, true);
	case RESULT_END: return SAY_NO_SUCH_RECIPIENT;
	default:	 return SAY_LATER;
	}
}

static enum reply policy_relay(struct session *s, const struct rcpt_parameters *rcpt, enum access_action action)
{
	bool is_inner = s->worker->meaning.meaning == MEANS_RELAY;
	bool is_ours = s->may_relay || s->is_authenticated;

	if (!is_ours && !((is_inner || action == ACCESS_RELAY) && !holds_route(&rcpt->to)))
		return SAY_NO_RELAY;
	return is_inner ? policy_relay_recipient(s, rcpt) : SAY_RECIPIENT_OK;
}

/* Gives every recipient a domain. false: a bare name of a client that is none of ours. */
static bool policy_complete(struct session *s, struct address *to)
{
	if (literal_is_ours(s, to))
		return policy_add_domain(s, to);
	return *to->domain || ((s->is_trusted || is_postmaster(to)) && policy_add_domain(s, to));
}

enum reply policy_recipient(struct session *s, struct rcpt_parameters *rcpt)
{
	bool is_bare_postmaster = is_postmaster(&rcpt->to);
	struct access access = { .action = ACCESS_NONE };
	enum result result = RESULT_OK;
	struct why why;

	if (!policy_complete(s, &rcpt->to))
		return SAY_RECIPIENT_NEEDS_DOMAIN;
	if (!is_bare_postmaster)
		result = access_of_recipient(s->worker->access, &rcpt->to, &access, &why);
	enum reply reply = access_reply(s, result, &access, SAY_REJECTED, SAY_DEFERRED, SAY_RECIPIENT_OK);
	if (reply != SAY_RECIPIENT_OK)
		return reply;
	resolve(s->worker->resolver, &rcpt->to, &s->worker->meaning, &why);
	if (s->worker->meaning.meaning == MEANS_RELAY || s->worker->meaning.meaning == MEANS_REMOTE)
		return policy_relay(s, rcpt, access.action);
	return policy_local(s, rcpt, is_bare_postmaster);
}
