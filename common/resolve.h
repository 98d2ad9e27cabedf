/* What an address means here: the one answer that smtpd (at RCPT), queued (long lists), locald
 * (delivery), authd and `dawk explain` share. Order for a local address, each step with the full
 * address first, then without its extension (subaddress), RFC 5233:
 *   1. alias ADDRESS, 2. mailbox ADDRESS, (the two again without extension,) 3. bare alias LOCAL,
 *   4. account of the system (first domain; only where the caller can ask), 5. catch-all @DOMAIN.
 * An alias goes before a mailbox of the same name, unless it names itself: then the mailbox is one
 * of its members. "postmaster" without a domain is postmaster at the first domain.
 *
 * Compiled forms (written by dawk/update.c, read here only):
 *   users.cdb    key: folded address; value: "UID:GID:MAILDIR:QUOTA", all filled in, MAILDIR absolute
 *   aliases.cdb  key: folded address, bare local part, or "@domain"; value: "COUNT FLAGS\n", then each
 *                member on a line: a folded-domain address, "|command", "/path" or "/path/".
 *                FLAGS: any of p (holds programs or paths), s (names itself), - (none).  */
#ifndef COMMON_RESOLVE_H
#define COMMON_RESOLVE_H

#include "address.h"
#include "configuration.h"
#include "table.h"
#include <sys/types.h>

struct resolver;
enum result resolver_make(const struct configuration *conf, struct table_directory *tables, struct resolver **resolver, struct why *why);
void resolver_free(struct resolver *resolver);

/* For `dawk explain`: SAW is called at each look-up with the table's name, the key and the outcome. */
void resolver_watch(struct resolver *resolver, void (*saw)(void *context, const char *table, const char *key,
                    enum result outcome), void *context);

enum meaning {
	MEANS_MAILBOX,		/* uid .. quota are set */
	MEANS_ALIAS,		/* members, count, flags are set */
	MEANS_UNKNOWN,		/* a local domain, no such recipient (an account of the system perhaps) */
	MEANS_RELAY,		/* in relay-domains */
	MEANS_REMOTE,		/* anywhere else */
	MEANS_LATER,		/* a table can't be read */
};

struct meaning_of {
	enum meaning meaning;
	char key[ADDRESS_MAX + 1];	/* the key that matched: folded address without extension, bare name, @domain */
	char extension[ADDRESS_LOCAL_MAX + 1];	/* without the separator; "" when none */
	uid_t uid;
	gid_t gid;
	char maildir[4096];
	char quota[64];		/* "" none; else as in quota.h */
	bool is_mbox;
	const char *members;	/* lines, MEMBERS_LENGTH bytes, valid until the next call with this resolver */
	size_t members_length;
	uint32_t count;
	bool has_programs;
	bool names_itself;	/* a member is the mailbox of this very name: uid .. quota are set too, or
				 * maybe_system when it can only be an account of the system */
	bool maybe_system;	/* MEANS_UNKNOWN: the domain is the first, system-users is on: look the
				 * local part of key up (authd, lookup.h); if there is none, resolve_catch_all */
};

/* RESULT_OK with OUT filled (also for MEANS_LATER, with WHY). ADDRESS need not be folded. */
void resolve(struct resolver *resolver, const struct address *address, struct meaning_of *out, struct why *why);

/* The folded address with a domain: without one it means the first domain ("postmaster", RFC 5321
 * 4.5.1). FOLDED: ADDRESS_MAX + 1 bytes. */
void resolve_fold(const struct resolver *resolver, const struct address *address, char *folded);

/* Is ADDRESS, in a relay domain, one that the inner host takes? By relay-recipients.cdb: key "domain" for each
 * domain that the table speaks of, "@domain" for all of one, folded addresses. RESULT_OK: it is, or nobody has said who
 * is; RESULT_END: others of its domain are; RESULT_RETRY: the table can't be read. *IS_LISTED (may be NULL): the table speaks
 * of its domain. */
enum result resolve_relay_recipient(struct resolver *resolver, const struct address *address, bool *is_listed, struct why *why);

/* Step 5 alone, for the callers that asked for an account of the system and found none. OUT as of
 * resolve: MEANS_ALIAS, MEANS_UNKNOWN or MEANS_LATER. */
void resolve_catch_all(struct resolver *resolver, const struct address *address, struct meaning_of *out, struct why *why);

/* "owner-NAME@domain" of the alias address FOLDED (as address_fold gives it), where such an alias or
 * mailbox exists; OWNER: ADDRESS_MAX + 1 bytes. The next call with this resolver ends MEMBERS. */
bool resolve_owner(struct resolver *resolver, const char *folded, char *owner);

/* Full expansion of a recipient, as smtpd does at RCPT and `dawk explain` shows: aliases of at most
 * EXPAND_MEMBERS_MAX members are followed (depth EXPAND_DEPTH_MAX); TAKE gets each final recipient
 * once: a mailbox's address (extension kept), a remote address, an alias that holds a program or path (as itself,
 * beside its addresses' own expansions), a longer list (as itself), or a member unknown here. OWNER is "owner-NAME@domain"
 * where such an alias or mailbox exists for the alias that led there, else NULL.
 * *MEMBER_COUNT: how many members the first alias had (0: the address was no alias; 1: single-member).
 * What is taken is folded where the domain is local. An alias that names itself is taken as itself for
 * its mailbox: locald runs an alias's programs and, when it names itself, delivers to the mailbox.
 * RESULT_OK; RESULT_END: unknown recipient (nothing taken; check maybe_system in OUT of resolve);
 * RESULT_RETRY: tables, a loop or nesting too deep, or TAKE returned false (too many). */
enum { EXPAND_MEMBERS_MAX = 100, EXPAND_DEPTH_MAX = 20 };
enum result resolve_expand(struct resolver *resolver, const struct address *address,
                           bool (*take)(void *context, const char *address, const char *owner), void *context,
                           uint32_t *member_count, struct why *why);

/* The next member line of [*at, end). false: no more. */
bool alias_next_member(const char **at, const char *end, const char **member, size_t *length);

/* An account of the system as a mailbox ~/Maildir. Accounts with uid 0 or a uid below 1000 have none.
 * RESULT_OK, RESULT_END. */
enum result resolve_account(uid_t uid, gid_t gid, const char *home, struct meaning_of *out);
/* The same for LOCAL (folded), looked up by getpwnam, which may block: for programs without an event loop; others
 * ask a helper (lookup.h). RESULT_RETRY: it can't be known now. HOME: 4096 bytes. */
enum result resolve_system_account(const char *local, struct meaning_of *out, char *home, struct why *why);

#endif
