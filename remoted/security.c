#include "remoted/security.h"

#include "common/log.h"
#include "common/tls_dane.h"
#include "common/tls_stream.h"
#include "remoted/clear.h"
#include "remoted/fact.h"
#include <stdio.h>
#include <string.h>

const struct exchange *security_exchange(const struct session *session)
{
	return &session->site->hosts.exchanges[session->order[session->place].exchange];
}

/* ---- what is known of a site ---- */

bool security_wants_dane(const struct route *route)
{
	return remoted.conf->dane && !route->path[0] && !route->is_ip &&
	       (route->tls == TLS_LEVEL_UNSET || route->tls >= TLS_LEVEL_ENCRYPT);
}

/* RFC 8461 5: for hosts that the MX records name, not for one that the admin does. */
bool security_wants_sts(const struct route *route)
{
	return remoted.conf->mta_sts && !route->is_exact && !route->is_lmtp &&
	       (route->tls == TLS_LEVEL_UNSET || route->tls == TLS_LEVEL_ENCRYPT || route->tls == TLS_LEVEL_VERIFY);
}

/* MTA-STS wants the host's own name (RFC 8461 4.2); where the admin asks, that of the domain does as well: a certificate for
 * it says more than one for a host that unsigned MX records name. */
static bool takes_domain(const struct route *route, const struct security *security)
{
	return route->tls == TLS_LEVEL_VERIFY && !route->is_exact && security->sts != STS_ENFORCE;
}

void security_find(struct site_ask *ask, const char *domain, const struct sts_answer *answer, char manner[SECURITY_MANNER_MAX])
{
	static const char *const words[] = { [STS_TESTING] = " mta-sts=testing", [STS_ENFORCE] = " mta-sts=enforce" };
	struct security *security = &ask->security;
	bool is_own;
	size_t i;

	*security = (struct security){ 
		.wants_dane = security_wants_dane(&ask->route) && ask->hosts.is_secure, .sts = STS_NONE,
		.is_vouched = ask->route.is_exact || ask->hosts.is_secure,
	};
	if (answer && (answer->verdict == STS_TESTING || answer->verdict == STS_ENFORCE)) {
		security->sts = answer->verdict;
		for (i = 0; i < ask->hosts.exchange_count; i++)
			if (!sts_pattern_matches(answer->patterns, answer->patterns_length, ask->hosts.exchanges[i].name))
				security->unlisted |= 1u << i;
	}
	/* which hosts a policy leaves out, and a certificate for the domain itself, are the domain's own affair: not shared */
	is_own = security->unlisted || takes_domain(&ask->route, security);
	snprintf(manner, SECURITY_MANNER_MAX, "%s%s%s%s", ask->route.is_exact ? "" : security->wants_dane ? " dane" : security->is_vouched ? " signed" : "",
	         security->sts == STS_NONE ? "" : words[security->sts], is_own ? " of " : "", is_own ? domain : "");
}

/* ---- the log ---- */

static void start_line(struct log_line *line, const char *event, const struct session *session)
{
	log_start(line, event);
	log_text(line, "id", session->job ? session->job->id : NULL);
	log_text(line, "host", session->where);
	log_text(line, "domain", session->domain);
	log_text(line, "policy", tls_level_names[session->level]);
	log_text(line, "from", session->level_from);
}

/* ---- what is demanded here ---- */

struct demand { enum tls_level level; const char *from; bool is_dane; };

static void raise_to(struct demand *demand, enum tls_level level, const char *from)
{
	if (demand->level >= level)
		return;
	demand->level = level;
	demand->from = from;
}

static bool is_required(const struct session *session)
{
	return session->job && (session->job->flags & REMOTE_REQUIRETLS);
}

static struct demand demand_of(const struct session *session, const struct exchange *exchange)
{
	const struct site *site = session->site;
	const struct route *route = &site->route;
	struct demand demand = { TLS_LEVEL_MAY, "default", false };
	bool has_tlsa = site->security.wants_dane && exchange->tlsa_state == TLSA_FOUND;

	if (route->tls != TLS_LEVEL_UNSET)
		demand = (struct demand){ route->tls, route->is_tls_of_route ? "route" : "site", false };
	if (route->is_wrapped)
		raise_to(&demand, TLS_LEVEL_ENCRYPT, "route");
	if (is_required(session))
		raise_to(&demand, TLS_LEVEL_VERIFY, "requiretls");
	else if (session->is_relaxed)	/* RFC 8689 3: what the recipient's side asks for is not looked at */
		return demand;
	if (has_tlsa && dane_count_usable(exchange->tlsa->records, exchange->tlsa->length)) {
		demand.is_dane = true;
		demand.level = TLS_LEVEL_DANE;
		demand.from = "dane";
	} else if (has_tlsa) {		/* RFC 7672 2.2: none that can be used: TLS all the same, with anybody */
		raise_to(&demand, TLS_LEVEL_ENCRYPT, "dane");
	} else if (site->security.sts == STS_ENFORCE) {
		raise_to(&demand, TLS_LEVEL_VERIFY, "mta-sts");
	}
	return demand;
}

/* May EXCHANGE get this message now? RESULT_NEVER: WHY. */
static enum result judge_host(const struct session *session, const struct exchange *exchange, size_t index,
                              enum tls_fact_result *fact, struct why *why)
{
	const struct security *security = &session->site->security;
	bool is_dane_demanded = session->site->route.tls == TLS_LEVEL_DANE;

	if (session->is_relaxed && !is_dane_demanded)
		return RESULT_OK;
	*fact = TLS_FACT_DNSSEC_INVALID;
	if (security->wants_dane && exchange->tlsa_state == TLSA_TROUBLE)
		return why_set(why, RESULT_NEVER, "unable to look up the TLSA records of %s: %s", exchange->name,
		               exchange->tlsa ? exchange->tlsa->words : "no memory");
	*fact = TLS_FACT_DANE_REQUIRED;
	if (is_dane_demanded && !(security->wants_dane && exchange->tlsa_state == TLSA_FOUND &&
	                          dane_count_usable(exchange->tlsa->records, exchange->tlsa->length)))
		return why_set(why, RESULT_NEVER, "%s has no TLSA record that DNSSEC vouches for and that can be used, and tls=dane wants one",
		               exchange->name);
	*fact = TLS_FACT_VALIDATION_FAILURE;
	if (security->sts == STS_ENFORCE && (security->unlisted & 1u << index) && exchange->tlsa_state != TLSA_FOUND)
		return why_set(why, RESULT_NEVER, "%s is not a host that the MTA-STS policy of %s names", exchange->name, session->domain);
	return RESULT_OK;
}

static void note_refused(struct session *session, enum tls_fact_result fact, const struct why *why)
{
	struct log_line line;

	session->is_insecure = true;
	snprintf(session->trouble_status, sizeof session->trouble_status, "4.7.5");
	snprintf(session->trouble, sizeof session->trouble, "%s", why->text);
	log_start(&line, "tls-refused");
	log_text(&line, "id", session->job->id);
	log_text(&line, "host", security_exchange(session)->name);
	log_text(&line, "domain", session->domain);
	log_why(&line, why);
	log_end(&line);
	fact_tell(session, fact, why->text);
}

/* RFC 8689 4.2.1: a certificate for a name that anybody may have put into the answer says nothing. */
static bool is_vouched(const struct security *security)
{
	return security->is_vouched || security->sts == STS_ENFORCE;
}

void security_admit(struct session *session)
{
	uint32_t told = 0;
	size_t i, kept = 0;

	session->is_relaxed = (session->job->flags & REMOTE_TLS_OPTIONAL) && !is_required(session);
	if (session->site->route.path[0])
		return;
	if (is_required(session) && !is_vouched(&session->site->security)) {
		snprintf(session->trouble_status, sizeof session->trouble_status, "5.7.30");
		snprintf(session->trouble, sizeof session->trouble, "neither DNSSEC nor an MTA-STS policy vouches for the hosts of %s; "
		         "the sender asked for REQUIRETLS", session->domain);
		session->order_count = 0;
	}
	for (i = 0; i < session->order_count; i++) {
		uint8_t index = session->order[i].exchange;
		enum tls_fact_result fact;
		struct why why = { 0 };

		session->place = i;
		if (judge_host(session, security_exchange(session), index, &fact, &why) == RESULT_OK) {
			session->order[kept++] = session->order[i];
		} else if (!(told & 1u << index)) {
			told |= 1u << index;
			note_refused(session, fact, &why);
		}
	}
	session->order_count = kept;
	session->place = 0;
}

/* ---- failing ---- */

/* A host without what REQUIRETLS asks for will not have it tomorrow: that is the last word, RFC 8689 4.2.1. */
static void note_trouble(struct session *session, const char *status, bool is_lasting, const char *words)
{
	bool is_final = is_lasting && is_required(session);
	char told[SESSION_WORDS_MAX + 1];

	snprintf(told, sizeof told, "%.350s: %.300s%s", session->where, words, is_required(session) ? "; the sender asked for REQUIRETLS" : "");
	session_note_trouble(session, is_final ? "5.7.30" : status, told);
	session->is_insecure = !session->is_put_off;
}

static void fail(struct session *session, enum tls_fact_result fact, const char *status, bool is_lasting, const char *words)
{
	const struct host_address *address = &session->order[session->place];
	bool may_go_clear = session->level == TLS_LEVEL_MAY;
	struct log_line line;

	start_line(&line, "tls-failed", session);
	log_text(&line, "then", may_go_clear ? "clear" : "another-host");
	log_text(&line, "why", words);
	log_end(&line);
	fact_tell(session, fact, words);
	note_trouble(session, status, is_lasting, words);
	if (!may_go_clear) {
		session_leave_host(session);
		return;
	}
	clear_remember(&address->ip, session->site->route.port, loop_now_ms(remoted.loop));
	if (session->state == SESSION_STARTTLS) {
		session_say(session, "QUIT\r\n");
		session_flush(session);
	}
	stream_close(&session->stream);
	session->order_next = session->place;	/* the same once more */
	session_next_address(session);
}

void security_lost(struct session *session, const char *words)
{
	fail(session, TLS_FACT_VALIDATION_FAILURE, "4.7.5", false, words);
}

/* ---- beginning ---- */

static void start_handshake(struct session *session)
{
	const struct exchange *exchange = security_exchange(session);
	const char *name = session->is_dane ? exchange->tlsa->base : exchange->name;	/* RFC 7672 8.1 */
	char key[2 * DNS_NAME_MAX + NETWORK_TEXT_MAX + 64];
	struct why why = { 0 };

	snprintf(key, sizeof key, "%s %s %s", session->where, name, tls_level_names[session->level]);
	session_wait(session, SESSION_SHAKING);
	if (tls_stream_connect(&session->stream, remoted.tls, name, key, &why) != RESULT_OK)
		security_lost(session, why.text);
	else
		security_shake(session);
}

bool security_connected(struct session *session)
{
	const struct site *site = session->site;
	const struct host_address *address = &session->order[session->place];
	struct demand demand = { TLS_LEVEL_NONE, "socket", false };

	if (!site->route.path[0])
		demand = demand_of(session, security_exchange(session));
	session->level = demand.level;
	session->level_from = demand.from;
	session->is_dane = demand.is_dane;
	session->is_encrypted = session->is_verified = session->is_logged_in = false;
	session->goes_clear = session->level == TLS_LEVEL_NONE ||
	                      (session->level == TLS_LEVEL_MAY &&
	                       clear_is_remembered(&address->ip, site->route.port, loop_now_ms(remoted.loop)));
	if (!site->route.is_wrapped)
		return false;
	start_handshake(session);
	return true;
}

static bool leave_without(struct session *session, const char *status, bool is_lasting, const char *words)
{
	struct log_line line;

	start_line(&line, "tls-failed", session);
	log_text(&line, "then", "another-host");
	log_text(&line, "why", words);
	log_end(&line);
	note_trouble(session, status, is_lasting, words);
	session_leave_host(session);
	return true;
}

static bool is_satisfied(const struct session *session)
{
	return session->is_encrypted || session->goes_clear;
}

bool security_greeted(struct session *session)
{
	if (session->is_encrypted && is_required(session) && !(session->capabilities & CAN_REQUIRETLS))
		return leave_without(session, "4.7.30", true, "it does not offer REQUIRETLS");
	if (is_satisfied(session))
		return false;
	if (session->capabilities & CAN_STARTTLS) {
		session_say(session, "STARTTLS\r\n");
		session_flush(session);
		session_wait(session, SESSION_STARTTLS);
		return true;
	}
	fact_tell(session, TLS_FACT_STARTTLS_NOT_SUPPORTED, NULL);
	if (session->level == TLS_LEVEL_MAY)
		return false;
	return leave_without(session, "4.7.4", true, "it does not offer STARTTLS");
}

/* RFC 3207 4. What came in clear behind the reply was put there by somebody in between, or by a server that would take
 * commands so: neither is to be trusted. */
void security_reply(struct session *session)
{
	char words[SESSION_WORDS_MAX + 1];

	if (session->reply.code != 220) {
		snprintf(words, sizeof words, "it offers STARTTLS and refuses it: %.300s", session->reply.text);
		fail(session, TLS_FACT_VALIDATION_FAILURE, "4.7.5", false, words);
	} else if (session->behind || session->stream.kept_length) {
		fail(session, TLS_FACT_VALIDATION_FAILURE, "4.7.5", false, "bytes in clear behind the answer to STARTTLS, which may be forged");
	} else {
		start_handshake(session);
	}
}

/* ---- the judgement ---- */

struct judgement {
	enum tls_fact_result fact;
	char by[DANE_MATCHED_MAX + 8];		/* what vouches for the host: "dane 3 1 1", "authority"; "" for nothing */
	struct why why;
};

static enum tls_fact_result fact_of(enum tls_fault fault)
{
	static const enum tls_fact_result facts[] = {
		[TLS_FAULT_NONE] = TLS_FACT_SUCCESS, [TLS_FAULT_NAME] = TLS_FACT_CERTIFICATE_HOST_MISMATCH,
		[TLS_FAULT_EXPIRED] = TLS_FACT_CERTIFICATE_EXPIRED, [TLS_FAULT_UNTRUSTED] = TLS_FACT_CERTIFICATE_NOT_TRUSTED,
		[TLS_FAULT_OTHER] = TLS_FACT_VALIDATION_FAILURE,
	};

	return facts[fault];
}

static enum result judge_dane(const struct session *session, struct tls_session *tls, struct judgement *judgement)
{
	const struct exchange *exchange = security_exchange(session);
	struct dane_bytes chain[TLS_CHAIN_MAX];
	char matched[DANE_MATCHED_MAX];
	size_t count = 0;

	judgement->fact = TLS_FACT_TLSA_INVALID;
	if (!exchange->tlsa || exchange->tlsa_state != TLSA_FOUND)
		return why_set(&judgement->why, RESULT_NEVER, "its TLSA records went away meanwhile");
	while (count < TLS_CHAIN_MAX && tls_peer_certificate(tls, count, &chain[count].bytes, &chain[count].length) == RESULT_OK)
		count++;
	const char *const names[] = { exchange->tlsa->base, exchange->name, session->domain };	/* RFC 7672 3.2.2 */
	if (dane_verify(exchange->tlsa->records, exchange->tlsa->length, chain, count, names,
	                session->site->route.is_exact ? 2 : 3, matched, &judgement->why) != RESULT_OK)
		return RESULT_NEVER;
	snprintf(judgement->by, sizeof judgement->by, "dane %s", matched);
	judgement->fact = TLS_FACT_SUCCESS;
	return RESULT_OK;
}

static enum result judge_authority(const struct session *session, struct tls_session *tls, struct judgement *judgement)
{
	enum result result = tls_verify(tls, security_exchange(session)->name, &judgement->why);

	judgement->fact = fact_of(tls_fault(tls));
	if (result != RESULT_OK && takes_domain(&session->site->route, &session->site->security) &&
	    tls_verify(tls, session->domain, NULL) == RESULT_OK)
		result = RESULT_OK;
	if (result == RESULT_OK) {
		judgement->fact = TLS_FACT_SUCCESS;
		judgement->why = (struct why){ 0 };
		snprintf(judgement->by, sizeof judgement->by, "authority");
	}
	return result;
}

static enum result judge(const struct session *session, struct tls_session *tls, struct judgement *judgement)
{
	const struct security *security = &session->site->security;
	enum result result;

	judgement->fact = TLS_FACT_SUCCESS;
	if (session->is_dane)
		return judge_dane(session, tls, judgement);
	if (session->level >= TLS_LEVEL_VERIFY)
		return judge_authority(session, tls, judgement);
	if (security->sts != STS_TESTING || session->is_relaxed)
		return RESULT_OK;
	result = judge_authority(session, tls, judgement);	/* for the report alone, RFC 8461 5 */
	if (result == RESULT_OK && (security->unlisted & 1u << session->order[session->place].exchange)) {
		judgement->fact = TLS_FACT_VALIDATION_FAILURE;
		why_set(&judgement->why, RESULT_OK, "the MTA-STS policy, which is being tested, does not name it");
	}
	return RESULT_OK;
}

static void log_success(const struct session *session, const struct tls_session *tls, const struct judgement *judgement)
{
	struct log_line line;

	start_line(&line, "tls", session);
	tls_log(tls, &line);
	log_text(&line, "verified", judgement->by[0] ? judgement->by : "no");
	log_why(&line, &judgement->why);
	log_end(&line);
}

static void shaken(struct session *session)
{
	struct tls_session *tls = tls_stream_session(&session->stream);
	const struct host_address *address = &session->order[session->place];
	struct judgement judgement = { .by = "" };

	if (judge(session, tls, &judgement) != RESULT_OK) {
		session_flush(session);
		fail(session, judgement.fact, "4.7.5", true, judgement.why.text);
		return;
	}
	log_success(session, tls, &judgement);
	fact_tell(session, judgement.fact, judgement.why.text[0] ? judgement.why.text : NULL);
	clear_forget(&address->ip, session->site->route.port);
	session->is_encrypted = true;
	session->is_verified = judgement.by[0] && session->level >= TLS_LEVEL_VERIFY;
	if (session->site->route.is_wrapped)
		session_wait(session, SESSION_GREETING);
	else
		session_say_hello(session);
}

void security_shake(struct session *session)
{
	struct why why = { 0 };
	char words[SESSION_WORDS_MAX + 1];

	if (stream_flush(&session->stream, &why) == RESULT_PEER) {
		snprintf(words, sizeof words, "%.250s", why.text);
		security_lost(session, words);
	} else if (!session->stream.is_shaking) {
		shaken(session);
	}
}

/* ---- between jobs, and the end ---- */

bool security_suits(const struct session *session, const struct job *job)
{
	if (job->flags & REMOTE_REQUIRETLS)
		return session->is_verified && (session->capabilities & CAN_REQUIRETLS);
	return true;
}

bool security_is_private(const struct session *session)
{
	return session->is_relaxed;
}

void security_end(struct session *session)
{
	struct tls_session *tls = tls_stream_session(&session->stream);

	if (tls && session->is_encrypted && !session->is_tls_kept)
		tls_client_keep(tls);
	session->is_tls_kept = true;
}
