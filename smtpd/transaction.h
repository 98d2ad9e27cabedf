/* One mail transaction: from MAIL to the answer to its content (RFC 5321 3.3). Made at MAIL, gone after
 * RSET, the answer, or the client; one function frees it. While its commit is under way it may outlive
 * its session.
 *
 * Content up to TRANSACTION_BUFFER_MAX goes out in one write, envelope and trailer with it; more
 * streams in pieces of that size, in constant memory. */
#ifndef SMTPD_TRANSACTION_H
#define SMTPD_TRANSACTION_H

#include "author.h"
#include "body.h"
#include "common/commit.h"
#include "header.h"
#include "parameters.h"
#include "worker.h"

enum {
	TRANSACTION_BUFFER_MAX = 65536,
	TRANSACTION_RECORDS_MAX = 20000,	/* recipients of an envelope after aliases were expanded */
};

/* What a transaction has to know of its session. */
struct transaction_client {
	const char *session_id, *helo, *client_name, *user;	/* user: who logged in; NULL */
	struct address_ip ip;
	uint32_t uid;
	const struct tls_session *tls;	/* NULL: in clear */
	bool is_local, is_extended, is_submitted, is_authenticated;
};

struct transaction {
	struct worker *worker;
	struct session *session;	/* NULL: the client is gone */
	struct commit commit;		/* id, set when the content begins */
	int fd;				/* of tmp/ID; -1: not open */
	struct mail_parameters mail;
	struct rcpt_parameters *asked;	/* what authd was asked about */
	stralloc recipients;		/* blocks of the envelope */
	critbit0_tree seen;		/* addresses in it: one copy each; "ALIAS>": it was expanded */
	uint32_t record_count;
	uint32_t expanded_count;	/* members of aliases that were looked at */
	uint32_t accepted_count, attempted_count;	/* RCPT commands */
	char only_recipient[ADDRESS_MAX + 1];	/* as given, while there is one */
	bool is_normalizing;
	bool is_chunked;		/* BDAT has begun */
	bool is_head_out;
	enum reply refused;		/* SAY_NOTHING, or what the content will be answered */
	struct body body;
	struct header header;
	struct author *author;		/* of a submitted message; NULL: nobody asks */
	bool is_unrepaired;		/* its header was too long to be completed */
	char *user;			/* of the session, for the log line after the commit, malloc'd; NULL: none */
	char *buffer;
	size_t buffered, buffer_size;
	uint64_t received_bytes;	/* content, as it is kept */
	uint64_t chunk_bytes;		/* of BDAT, as they came: what the replies count */
	uint64_t written_bytes;		/* content in the file: trace and all */
	uint64_t deadline_ms;		/* 0: content has not begun */
	char client_text[NETWORK_TEXT_MAX];	/* for the log line after the commit */
	char session_id[16];
};

struct transaction *transaction_make(struct worker *worker, struct session *session, const struct mail_parameters *mail);
/* Frees all and removes what stands in tmp/. Accepts NULL. Not while the commit is under way. */
void transaction_free(struct transaction *t);

/* Adds RCPT, which policy.c has accepted, as worker->meaning says. SAY_RECIPIENT_OK or why not. */
enum reply transaction_add_recipient(struct transaction *t, const struct rcpt_parameters *rcpt);

/* The content begins: DATA, or the first BDAT. */
void transaction_begin_content(struct transaction *t);
/* Content as it comes; CLIENT is needed when the head is written. Failures stay in t->refused. */
enum result transaction_feed_data(struct transaction *t, const struct transaction_client *client,
                                  const char *bytes, size_t length, size_t *used);	/* as body_feed */
void transaction_feed_chunk(struct transaction *t, const struct transaction_client *client,
                            const char *bytes, size_t length);
/* The content is complete. SAY_NOTHING: on its way to be durable, session_committed will be called; else
 * the reply, and the transaction is still the caller's. */
enum reply transaction_finish(struct transaction *t, const struct transaction_client *client);

#endif
