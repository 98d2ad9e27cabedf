/* dawk attack: what its files share. Each try is a row of a table; it says once what came of it. */
#ifndef DAWK_ATTACK_H
#define DAWK_ATTACK_H

#include "common/configuration.h"
#include <gnutls/gnutls.h>
#include <sys/socket.h>

enum attack_kind { ATTACK_SMTP, ATTACK_SUBMISSION, ATTACK_POP3 };

struct attack {
	const struct configuration *conf;
	const char *domain, *host;	/* DOMAIN: one of the target's own, whose postmaster gets what has to be sent */
	struct sockaddr_storage address;
	socklen_t size;
	char text[96];			/* "127.0.0.1:25" */
	enum attack_kind kind;
	bool is_tls;			/* from the first byte */
	bool may_relay, may_log_in_clearly, is_exempt;	/* the target's configuration lets our address */
	bool takes_any;			/* a catch-all: a local address that is taken says nothing */
	bool is_slow, is_json;
	unsigned held, open, skipped;
};

/* ---- what came of a try: NAME of the try, and what was seen ---- */

void attack_held(struct attack *attack, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void attack_open(struct attack *attack, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void attack_skip(struct attack *attack, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- attack_talk.c: one connection, all waits bounded ---- */

enum { TALK_MS = 10000, TALK_LINE_MAX = 1024, TALK_IN = 16384 };
struct talk {
	int fd;
	gnutls_session_t tls;		/* NULL: in clear */
	gnutls_certificate_credentials_t credentials;
	gnutls_anon_client_credentials_t anonymous;
	char in[TALK_IN];
	size_t length;
	char line[TALK_LINE_MAX];	/* the last line of the reply taken last, or what failed */
	char all[TALK_IN];		/* all of its lines, each with its LF */
	bool is_closed;
};

/* Connects. false: LINE says why. TALK needs no setting before; talk_close it in any case. */
bool talk_connect(const struct attack *attack, struct talk *talk);
void talk_close(struct talk *talk);
/* TLS with PRIORITY (GnuTLS's words); no certificate is judged. false: LINE says why. */
bool talk_start_tls(struct talk *talk, const char *priority);
/* false: the other side hung up, or takes nothing more. */
bool talk_send(struct talk *talk, const char *bytes, size_t length);
bool talk_say(struct talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The code of the next reply of SMTP (RFC 5321 4.2), whole; POP3: 200 for +OK, 500 for -ERR. 0: hung up; -1: nothing in time. */
int talk_reply(struct talk *talk, int wait_ms);
/* One command, one reply. */
int talk_ask(struct talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The lines of POP3's CAPA behind its first, into ALL; false: none came. */
bool talk_lines(struct talk *talk);
/* Connects, TLS where it is from the first byte, takes the greeting, says EHLO for SMTP. */
bool talk_begin(const struct attack *attack, struct talk *talk);
/* Does ALL of an EHLO reply or CAPA name WORD? */
bool talk_offers(const struct talk *talk, const char *word);
/* A pause, so that the target is not hurried. */
void talk_pause(void);

/* ---- the tries ---- */

void attack_relay(struct attack *attack);	/* attack_relay.c */
void attack_smuggling(struct attack *attack);	/* attack_smuggle.c */
void attack_names(struct attack *attack);	/* attack_names.c */
void attack_tls(struct attack *attack);		/* attack_tls.c */
void attack_limits(struct attack *attack);	/* attack_limits.c */

#endif
