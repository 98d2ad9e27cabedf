/* One login, between the files that judge it: login.c (its way from the frame to the answer), login_sasl.c
 * (mechanisms), login_check.c (passwords and programs). */
#ifndef AUTHD_LOGIN_PRIVATE_H
#define AUTHD_LOGIN_PRIVATE_H

#include "authd/accounts.h"
#include "authd/cache.h"
#include "authd/checkers.h"
#include "authd/guard.h"
#include "authd/login.h"
#include "authd/throttle.h"
#include "common/base64.h"
#include "common/lookup.h"

struct mechanism;
struct scram_login;

struct login {
	struct login *next, **at;	/* in the list of all */
	struct channel *worker;		/* NULL: gone meanwhile */
	uint64_t serial, arrived_ms;	/* of the last frame */
	uint32_t exchange;		/* its number while the client has to say something; 0 */
	uint8_t purpose;		/* enum login_purpose */
	uint8_t step;			/* the mechanism's own */
	bool is_tls;
	const struct mechanism *mechanism;
	struct scram_login *scram;	/* login_sasl.c; NULL */
	struct address_ip ip;
	enum account_source source;
	struct check check;
	struct lookup lookup;		/* of an account of the system */
	struct timer timer;		/* the end of patience with client or program, then what the program said */
	struct channel program;		/* to the keeper of the program */
	uint64_t program_verdict;	/* enum login_verdict; 0: not told yet */
	uint64_t program_status;	/* its exit code; 256: killed */
	struct place *place;		/* as the program or the system said; NULL */
	stralloc hashes;		/* NAME NUL HASH NUL each */
	size_t hashes_used;
	const char *secret_name;	/* which one was right, for the log; into hashes or static; NULL */
	struct cache_mark mark;
	size_t binding_length;
	char binding[LOGIN_BINDING_MAX];
	char key[ADDRESS_MAX + 1];	/* folded; "": no name that can be one here */
	char client[65], session[33], user[WIRE_ADDRESS_MAX + 1];
	char *secret;			/* malloc'd: password, digest or token; NULL */
};

struct logins {
	const struct configuration *conf;
	struct loop *loop;
	struct channel *starter;
	struct login *first;
	size_t count;
	struct throttle throttle;
	struct guard guard;
	struct cache cache;
};
extern struct logins logins;

/* ---- login.c: each ends *LOGIN, but login_challenge ---- */

/* For what has no words of its own: try again later. WORDS: NULL for the usual ones. */
void login_later(struct login *login, const char *words, const struct why *why);
/* Wrong name or password. */
void login_refuse(struct login *login);
/* What the client said is not what the mechanism wants. */
void login_malformed(struct login *login);
/* The password, or the token, was right. */
void login_accept(struct login *login);
/* A challenge of LENGTH bytes goes to the client; the mechanism's step is called with what it answers. */
void login_challenge(struct login *login, const char *bytes, size_t length);
/* Takes a name as the client gave it and a secret of LENGTH bytes. false: LOGIN has ended, shut out or short of memory. */
bool login_take_user(struct login *login, const char *name, const char *secret, size_t length);

/* ---- login_check.c ---- */

/* LOGIN->secret against all that is stored for LOGIN->key. */
void login_check_password(struct login *login);
void login_check_apop(struct login *login);
/* LOGIN->secret is a bearer token: the program of oauth-checker judges it. */
void login_check_token(struct login *login);
/* Cancels whatever is asked of others. */
void login_check_end(struct login *login);

/* ---- login_sasl.c ---- */

/* NULL: not known, or not offered for PURPOSE. */
const struct mechanism *mechanism_find(const struct login *login, const char *name, size_t length);
const char *mechanism_name(const struct mechanism *mechanism);
/* RESPONSE is NULL where the client gave none with its command. May end LOGIN. */
void mechanism_step(struct login *login, const char *response, size_t length);
bool mechanism_is_bearer(const struct mechanism *mechanism);
/* APOP, SCRAM: what the client says of one secret is never twice the same. */
bool mechanism_is_proof(const struct mechanism *mechanism);
/* The token was refused: RFC 7628 3.2.2. */
void mechanism_token_refused(struct login *login);
void scram_login_free(struct login *login);

#endif
