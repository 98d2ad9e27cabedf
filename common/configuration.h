/* dawk.conf: one table of names (configuration.c) with type, default and one line of help; reader,
 * `dawk config`, `dawk check` and the test against the manual page come from it. Used by all. */
#ifndef COMMON_CONFIGURATION_H
#define COMMON_CONFIGURATION_H

#include "durable.h"
#include "network.h"
#include "result.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct text_list { char **items; size_t count; };		/* NUL-ended items */
struct seconds_list { uint32_t *items; size_t count; };		/* never empty */
struct listener_list {						/* count 0: switched off */
	struct listener { struct sockaddr_storage address; socklen_t size; char *text; } *items;
	size_t count;
};

enum listener_bit { LISTEN_SMTP = 1, LISTEN_SUBMISSION = 2, LISTEN_SUBMISSIONS = 4, LISTEN_POP3 = 8, LISTEN_POP3S = 16 };
enum mechanism_bit {
	MECHANISM_PLAIN = 1, MECHANISM_LOGIN = 2, MECHANISM_SCRAM_SHA_256 = 4, MECHANISM_SCRAM_SHA_256_PLUS = 8,
	MECHANISM_OAUTHBEARER = 16, MECHANISM_XOAUTH2 = 32, MECHANISM_AUTO = 1024,	/* what suits what is stored */
};
/* Their names, in the order in which they are offered; ended by NULL. */
struct mechanism_word { const char *name; uint32_t bit; };
extern const struct mechanism_word mechanism_words[];
enum bare_newline { BARE_NEWLINE_REJECT, BARE_NEWLINE_NORMALIZE };
enum relay_check { RELAY_CHECK_TABLE, RELAY_CHECK_ASK };
enum relay_away { RELAY_AWAY_ACCEPT, RELAY_AWAY_DEFER };
enum quota_policy { QUOTA_DEFER, QUOTA_REJECT };	/* 452 4.2.2, 552 5.2.2 */
enum submission_from { SUBMISSION_FROM_OFF, SUBMISSION_FROM_ENVELOPE, SUBMISSION_FROM_ENFORCE };	/* what has to be a user's own */
/* What a user who has logged in may send; the last three, when they are passed, hold the account. */
enum user_limit {
	USER_MESSAGES_HOUR, USER_MESSAGES_DAY, USER_RECIPIENTS_HOUR, USER_RECIPIENTS_DAY,
	USER_STRANGERS_HOUR, USER_NETWORKS_HOUR, USER_REFUSALS_HOUR,
	USER_LIMITS
};
enum { USER_LIMIT_MOST = 10000000, USER_NETWORKS_MOST = 31 };

struct configuration {
	char *file;			/* as given by -c */
	char *directory;		/* absolute, of the file: tables/, secret/, keys/ lie below */
	char *hostname;			/* lower case */
	struct text_list domains, relay_domains;	/* lower case; domains has at least one */
	struct listener_list listen_smtp, listen_submission, listen_submissions, listen_pop3, listen_pop3s;
	char *listen_local;		/* path; NULL: off */
	struct network_list relay_networks, clear_login, expn_networks;
	uint64_t message_size_limit_bytes;
	uint32_t recipient_limit, client_limit, error_limit;
	uint32_t received_limit;	/* Received lines before a message counts as looping */
	uint32_t smtp_timeout_seconds, message_timeout_seconds, pop3_timeout_seconds;
	uint32_t connect_timeout_seconds, greeting_timeout_seconds, command_timeout_seconds, data_timeout_seconds;
	uint32_t starttls_timeout_seconds;
	uint32_t greet_delay_seconds;	/* wait before the banner to catch early talkers, 0: none */
	enum bare_newline bare_newline;
	bool sender_domain_check;	/* a stranger's reverse-path has to have a domain that takes mail */
	bool vrfy;			/* VRFY says the truth instead of 252 */
	struct seconds_list retry;
	uint32_t delay_warning_seconds, queue_lifetime_seconds;
	struct text_list resolver;	/* empty: the system's */
	bool dnssec;
	char *trust_anchor;
	bool dane;			/* TLSA records judge the certificates of next hops */
	struct text_list tls_authorities;	/* PEM files, besides the system's trust store */
	char *subaddress;		/* separator characters, may be empty */
	char *queue, *mailboxes;	/* absolute */
	char *run_directory;		/* absolute: sockets, locks */
	char *state_directory;		/* absolute: what programs remember over a restart */
	uint32_t program_timeout_seconds;
	bool system_users;
	enum quota_policy quota_policy;
	enum relay_check relay_check;	/* who exists in relay domains that the table does not speak of: everybody, or the inner host is asked */
	enum relay_away relay_away;	/* when it can't be asked */
	enum durable_policy sync;
	char *checkpassword;		/* program for logins, NULL: none */
	char *oauth_checker;		/* program for bearer tokens, NULL: none */
	uint32_t auth_listeners;	/* enum listener_bit: where SMTP AUTH is offered */
	uint32_t auth_mechanisms;	/* enum mechanism_bit */
	uint32_t login_failure_limit;	/* of a user from one network, then he is shut out; 0: never */
	uint32_t login_block_seconds, login_cache_seconds;
	uint32_t smtpd_workers, pop3d_workers;	/* 0 in the file: one per core; here never 0 */
	uint32_t local_concurrency;	/* recipients in flight in locald */
	enum submission_from submission_from;
	bool hide_submitter;		/* Received does not tell the address of who logged in */
	uint32_t user_limits[USER_LIMITS];	/* 0: off */
	char *senders, *limits;		/* absolute paths of the sources, as those below */
	struct text_list tls_certificate, tls_key;
	bool mta_sts;
	char *mta_sts_authorities;	/* PEM file */
	char *tls_report_contact;	/* address; NULL: the postmaster of the first domain */
	char *tls_report_key;		/* PEM file; NULL: reports go unsigned */
	char *tls_report_selector;	/* RFC 6376 3.1 */
	uint32_t tls_tickets;		/* enum listener_bit: whose clients get session tickets */
	uint32_t tls_handshake_timeout_seconds;
	char *users, *secrets, *aliases, *routes, *site, *access, *relay_recipients;	/* absolute paths of the sources */
};

/* Reads FILE over the defaults. RESULT_NEVER: an unknown name or a bad value: WHY reads
 * "FILE:LINE: NAME: what was expected"; RESULT_RETRY: can't be read. *CONF is then NULL.
 * Relative paths in the file are taken from the file's directory. */
enum result configuration_load(const char *file, struct configuration **conf, struct why *why);
void configuration_free(struct configuration *conf);

/* For `dawk config`: calls ROW for each name in table order with the value in force as it would
 * stand in the file, its origin ("default", or "FILE:LINE"), and its help line. */
void configuration_rows(const struct configuration *conf,
                        void (*row)(void *context, const char *name, const char *value,
                                    const char *origin, const char *help), void *context);

/* Is DOMAIN (lower case, LENGTH bytes) one of the list? Constant time in the list's length. */
bool configuration_is_local_domain(const struct configuration *conf, const char *domain, size_t length);
bool configuration_is_relay_domain(const struct configuration *conf, const char *domain, size_t length);	/* or below a ".domain" entry */

/* CONF->directory and SUBDIRECTORY ("tables"), into OUT. */
bool configuration_path(const struct configuration *conf, const char *subdirectory, char *out, size_t size);

#endif
