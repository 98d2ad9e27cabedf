/* Mail addresses: parsing of what clients say and of what tables hold. Pure functions. RFC 5321
 * 4.1.2, RFC 6531 3.3. Used by smtpd, tables, resolve, sendmail. */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "result.h"
#include <stdbool.h>

enum { ADDRESS_LOCAL_MAX = 64, ADDRESS_DOMAIN_MAX = 255, ADDRESS_MAX = ADDRESS_LOCAL_MAX + 1 + ADDRESS_DOMAIN_MAX };

struct address {
	/* The address normalised: domain in lower case, needless quoting removed from the local part
	 * (its case kept), source route stripped; "" for the null reverse-path. NUL-ended. */
	char text[ADDRESS_MAX + 1];
	size_t length;
	size_t local_length;	/* of the local part, as it stands in text (quotes included) */
	const char *domain;	/* into text, after the '@'; "" when there is none */
	bool is_literal;	/* domain is [192.0.2.1] or [IPv6:...] */
	bool needs_smtputf8;	/* holds bytes above 0x7f */
};

/* The longest path at the start of LENGTH bytes at TEXT: "<a@b>", "<@relay.example:a@b>" (route
 * stripped), "<>" , and without brackets up to the next blank ("test@sample.com"). Fills ADDRESS and
 * *USED. A local part alone ("<postmaster>", "bob") has an empty domain: the caller judges.
 * RESULT_NEVER: no path; WHY says what is wrong. Refused always: control characters, NUL, a domain
 * that is neither dot-atom (LDH, labels 1-63, underscore allowed) nor literal nor UTF-8,
 * unbalanced quotes, lengths over the limits. */
enum result address_parse_path(const char *text, size_t length, struct address *address, size_t *used, struct why *why);

/* An address as tables and the command line have it, the whole of it: "alice@example.org", "bob",
 * no brackets. */
enum result address_parse(const char *text, size_t length, struct address *address, struct why *why);

/* The look-up form: local part in lower case too, quotes removed where it needs none. For local
 * domains and table keys. OUT: ADDRESS_MAX + 1 bytes. Returns the length. */
size_t address_fold(const struct address *address, char *out);

/* A host name: letters, digits, hyphens, underscores, dots; labels 1-63, at most 253. */
bool domain_is_valid(const char *text, size_t length);

/* U-labels to A-labels (RFC 5890, libidn2) and lower case. OUT: ADDRESS_DOMAIN_MAX + 1 bytes. */
enum result domain_to_ascii(const char *text, size_t length, char *out, struct why *why);

/* Is TEXT, in U-labels or A-labels, the domain NAME, which domain_to_ascii made? */
bool domain_is(const char *text, size_t length, const char *name);

/* An address, or a part of one, with the domain in A-labels: what stands behind the last '@', all of it where there is none.
 * OUT: ADDRESS_MAX + 1 bytes. false: there are no U-labels in it, or it is no domain. */
bool address_to_ascii(const char *text, char *out);

/* RFC 3461 xtext. OUT holds LENGTH bytes at least; false: malformed. */
bool xtext_decode(const char *text, size_t length, char *out, size_t *out_length);

#endif
