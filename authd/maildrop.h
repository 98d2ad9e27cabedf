/* A maildir as a POP3 maildrop: listed once, sorted by time of delivery, its sizes from the file
 * names, where need be from a cache beside them. Runs under the mailbox's uid, blocking. RFC 1939.
 * Used by the session (session.c).
 *
 * Files stay where they are, in new/ or cur/. The name up to ':' is what never changes while other
 * programs set flags or move a message from new/ to cur/. */
#ifndef AUTHD_MAILDROP_H
#define AUTHD_MAILDROP_H

#include "common/result.h"
#include "common/text.h"
#include <stdbool.h>
#include <stdint.h>

enum {
	MAILDROP_MESSAGES_MAX = 1 << 22,	/* further ones show up once these are gone */
	MAILDROP_NAME_MAX = 255,
	MAILDROP_UIDL_MAX = 70,			/* RFC 1939 7 */
};
#define MAILDROP_OCTETS_UNKNOWN UINT64_MAX

/* What a file name says. */
struct name_facts {
	uint64_t time_key;	/* microseconds since 1970 of the delivery; 0: the name does not tell */
	uint64_t octets;	/* ,W=: with CRLF line ends; MAILDROP_OCTETS_UNKNOWN */
	uint64_t bytes;		/* ,S=: on disk; MAILDROP_OCTETS_UNKNOWN */
	size_t unique_length;	/* up to ':' */
};
/* NAME: LENGTH bytes, a file name of a maildir. Pure. */
void name_parse(const char *name, size_t length, struct name_facts *facts);
/* The unique-id of a message whose unchanging name is LENGTH bytes at NAME: the name itself where
 * RFC 1939 7 allows (1 to 70 characters 0x21 to 0x7e), else ':' and the SHA-256 of it in hex.
 * OUT: MAILDROP_UIDL_MAX + 1 bytes, NUL-ended. Returns the length. Pure. */
size_t name_unique_id(const char *name, size_t length, char *out);

struct message {
	uint64_t time_key;
	uint64_t octets;	/* or MAILDROP_OCTETS_UNKNOWN */
	uint32_t name;		/* offset into the maildrop's names, NUL-ended there */
	uint8_t name_length, unique_length;
	bool is_new;		/* in new/, else cur/ */
	bool is_deleted;	/* by DELE, until RSET */
	bool is_gone;		/* removed by somebody else */
	bool is_unmeasured;	/* its file could not be read: octets is 0 in this session, and not remembered */
};

struct maildrop {
	int root, folder[2];	/* the maildir; cur/ and new/ (index: is_new); -1: not there */
	int lock;
	struct message *messages;
	size_t count, size;
	stralloc names;
	size_t fresh_names;	/* bytes of these when they were last written, each once */
	bool has_sizes;		/* the size cache was read already */
};

/* Opens the maildir at PATH, takes its lock (waits half a second for a session that is just
 * ending) and lists it. A maildir that does not exist yet is an empty maildrop. RESULT_OK;
 * RESULT_PEER: another session has it; RESULT_RETRY, RESULT_NEVER: WHY. On failure DROP is closed. */
enum result maildrop_open(const char *path, struct maildrop *drop, struct why *why);
void maildrop_close(struct maildrop *drop);

static inline const char *maildrop_name(const struct maildrop *drop, const struct message *message)
{
	return drop->names.s + message->name;
}

/* The message whose name up to ':' is that of LENGTH bytes at NAME; NULL: none. */
struct message *maildrop_find(const struct maildrop *drop, const char *name, size_t length);
/* Opens a message's file for reading; looks for its new name when another program renamed it.
 * RESULT_END: it is gone; RESULT_RETRY, RESULT_NEVER with WHY. */
enum result maildrop_open_message(struct maildrop *drop, struct message *message, int *fd, struct why *why);
/* Fills message->octets, from the cache or by reading the file; a message that can't be read counts 0 in this session. */
void maildrop_size_message(struct maildrop *drop, struct message *message);
/* The same for all, and remembers in the cache what had to be read. */
void maildrop_size_all(struct maildrop *drop);

/* What went: how many messages, and how many bytes and messages of that the quota counts. */
struct maildrop_removed { uint64_t messages, quota_bytes, quota_messages; };
/* Removes every message with is_deleted, then syncs the folders (RFC 1939 6). RESULT_OK; RESULT_RETRY: some are
 * left, WHY says why. */
enum result maildrop_update(struct maildrop *drop, struct maildrop_removed *removed, struct why *why);

/* session_sizes.c: the cache, lines "OCTETS NAME\n". */
void sizes_load(struct maildrop *drop);
void sizes_save(const struct maildrop *drop);

#endif
