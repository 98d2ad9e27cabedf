/* One connection to a next hop, and the messages that go over it: RFC 5321, RFC 2033 (LMTP), RFC 2920
 * (PIPELINING), RFC 3030 (CHUNKING), RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 3461 (DSN). */
#ifndef REMOTED_SESSION_H
#define REMOTED_SESSION_H

#include "common/stream.h"
#include "remoted/body.h"
#include "remoted/reply.h"
#include "remoted/site.h"

enum {
	SESSION_IDLE_MS = 5000,		/* kept for reuse for so long */
	SESSION_MESSAGES_MAX = 1000,
	SESSION_RACE_MS = 300,		/* before the next address is tried beside the first, RFC 8305 5, */
	SESSION_BACKUP_MS = 5000,	/* and before that where it is of another preference: a backup is for a host that is away */
	SESSION_ADDRESSES_MAX = 10,	/* tried for one job */
	SESSION_WORDS_MAX = 700,
	SESSION_QUIT_MS = 3000, SESSION_RSET_MS = 10000,
	SESSION_TURN_PIECES = 8,	/* of a body (BODY_PIECE), before others have their turn */
	SESSION_AT_ONCE_BYTES = 16384,	/* a message up to that goes out with its envelope where the other side takes chunks */
	SESSION_COMMANDS_MAX = 100,	/* of an envelope on the way without an answer; a line has 1,500 bytes at most */
};

enum session_state {
	SESSION_CONNECTING,
	SESSION_GREETING, SESSION_EHLO, SESSION_HELO,
	SESSION_STARTTLS,	/* it was said */
	SESSION_SHAKING,	/* the TLS handshake */
	SESSION_LOGIN,
	SESSION_IDLE,
	SESSION_RSET,		/* before a message, where the last one's transaction is open yet */
	SESSION_ENVELOPE,	/* MAIL, RCPT .. and DATA are out or going out */
	SESSION_BODY,		/* content is going out */
	SESSION_FINAL,		/* the reply (LMTP: replies) to the final dot */
	SESSION_QUIT,
	SESSION_STATES
};

enum capability {	/* what EHLO offered */
	CAN_PIPELINING = 1, CAN_SIZE = 2, CAN_8BITMIME = 4, CAN_SMTPUTF8 = 8, CAN_DSN = 16, CAN_CHUNKING = 32,
	CAN_STARTTLS = 64, CAN_REQUIRETLS = 128, CAN_AUTH_PLAIN = 256, CAN_AUTH_LOGIN = 512, CAN_AUTH_SCRAM_SHA_256 = 1024,
};

struct session {
	struct site *site;
	struct job *job;		/* NULL while idle */
	enum session_state state;
	struct stream stream;
	struct timer timer, race;	/* race: the next address, and later the next turn of a long body */
	struct attempt { int fd; struct watch watch; size_t place; struct session *session; } attempts[2];	/* PLACE: in order */
	struct host_address order[SESSION_ADDRESSES_MAX];	/* to try: copies, for the site may look its own up anew meanwhile */
	size_t order_count, order_next;
	char host[DNS_NAME_MAX + 1];	/* of the connection; "" before */
	char where[DNS_NAME_MAX + NETWORK_TEXT_MAX + 16];	/* "mx.example[192.0.2.1]:25" */
	size_t place;			/* in order, of the connection */
	char domain[DNS_NAME_MAX + 1];	/* whose policies count: the next hop's */
	enum tls_level level;		/* what TLS has to be here, and who says so */
	const char *level_from;
	bool is_dane;			/* TLSA records judge the certificate */
	bool goes_clear;		/* TLS has failed here, or is known to fail */
	bool is_encrypted, is_verified, is_logged_in;
	bool is_tls_kept;		/* for resumption */
	bool is_insecure;		/* the last trouble was that TLS does not do */
	bool is_relaxed;		/* made for a message that asks for less than the policies (TLS-Required: No) */
	struct login *login;		/* while it is under way */
	size_t behind;			/* bytes that have come behind the reply in hand */
	unsigned capabilities;
	uint64_t size_limit;		/* 0: none told */
	struct reply reply;
	size_t sent, answered;		/* commands of the envelope: 0 MAIL, 1.. RCPT, count + 1 DATA */
	size_t accepted;		/* recipients of the transaction */
	size_t final_next;		/* LMTP: the recipient whose reply comes next */
	bool mail_refused, is_reused;	/* is_reused: it was kept, and this job is not its first */
	bool needs_rset;		/* while idle: the last transaction did not end by itself */
	struct body body;
	uint64_t body_sent;
	bool is_body_out;		/* with its end */
	size_t chunks;			/* on the way without an answer, RFC 3030 */
	struct session *next_idle, *next_all, *previous_all;
	size_t messages, recipients, refused;	/* counters for the log */
	char trouble[SESSION_WORDS_MAX + 1];	/* why the last address did not do */
	char trouble_status[12], trouble_host[DNS_NAME_MAX + 1];
	bool may_pass;			/* an address had trouble that may pass: no other one's refusal is the last word */
	bool is_put_off;		/* the trouble is what a host answered to MAIL */
};

/* Makes a connection to SITE for JOB and sends it; the job ends with its results in every case. */
void session_start(struct site *site, struct job *job);
/* The idle connection SESSION takes JOB. false: it is not fit for it. */
bool session_take(struct session *session, struct job *job);
/* At the end of the process: unfinished jobs are deferred, but those that are left out if SPARES_SENT: their content is out, and the
 * answer may come yet. Returns how many that are. */
size_t session_end_all(bool spares_sent);

/* ---- between session.c, connect.c, transaction.c, security.c and login.c ---- */

/* connect.c: the next address; when there is none left the job is deferred and the session freed. */
void session_next_address(struct session *session);
/* The address of the connection did not do: it goes behind the others for a while. */
void session_mark_bad(const struct session *session);
void session_stop_connecting(struct session *session);
/* session.c */
void session_free(struct session *session);
void session_connected(struct session *session, int fd, const struct host_address *address);
/* false: too long, too much is unsent, or a control character in it, which could be a second command. */
bool session_say(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
void session_flush(struct session *session);
void session_wait(struct session *session, enum session_state state);
/* The connection is of no use any more: what is unfinished is deferred (5.X.X: fails) with STATUS and WORDS. */
void session_fail(struct session *session, const char *status, const char *words);
/* The same where it is the other side that went away or will not go on: as long as it can't have taken the content, what has no
 * result yet goes on to the next host, RFC 5321 5.1; from a connection that was kept to a fresh one first. */
void session_pass_on(struct session *session, const char *status, const char *words);
void session_job_ended(struct session *session);	/* all results are told: idle, or over */
void session_quit(struct session *session);
/* Says EHLO (LHLO), and forgets what the host offered before, RFC 3207 4.2. */
void session_say_hello(struct session *session);
/* Why an address did not do. What a host has answered to MAIL says more than that another can't be reached: it stays; and so does what
 * may pass when another host of the site refuses for good. */
void session_note_trouble(struct session *session, const char *status, const char *words);
/* A host that will not do, which session->trouble tells: leaves it for the next one. */
void session_leave_host(struct session *session);
/* greeting.c: whole replies, and a line of the answer to EHLO */
void greeting_reply(struct session *session);
void greeting_ehlo_reply(struct session *session);
void greeting_helo_reply(struct session *session);
void greeting_take_keyword(struct session *session, const char *line, size_t length);
/* transaction.c: a new job on a ready connection; a whole reply for it; room for more content. */
void transaction_start(struct session *session);
void transaction_reply(struct session *session);
void transaction_more_body(struct session *session);

#endif
