/* Socket addresses, networks, listeners. IPv4 travels as IPv4: an IPv4-mapped IPv6 address is
 * unmapped wherever it comes in. Used by configuration, smtpd, pop3d, access. */
#ifndef COMMON_NETWORK_H
#define COMMON_NETWORK_H

#include "result.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address_ip {
	uint8_t family;		/* 4, 6; 0: none (a local socket) */
	uint8_t bytes[16];	/* the first four for IPv4 */
};
struct network { struct address_ip ip; uint8_t prefix; };	/* host bits are zero */
struct network_list { struct network *networks; size_t count; bool is_any; };

enum { NETWORK_TEXT_MAX = 64 };

/* ::ffff:192.0.2.1 becomes 192.0.2.1; for bytes that come neither as text nor as a socket address. */
void ip_unmap(struct address_ip *ip);
/* LENGTH bytes at TEXT, the whole of it: "192.0.2.1", "2001:db8::1", without brackets. */
bool ip_parse(const char *text, size_t length, struct address_ip *ip);
bool ip_from_sockaddr(const struct sockaddr *address, struct address_ip *ip, uint16_t *port);
/* "192.0.2.1" or "2001:db8::1"; "local" for none. OUT: NETWORK_TEXT_MAX bytes. Returns OUT. */
const char *ip_text(const struct address_ip *ip, char *out);
/* RFC 5321 4.1.3: "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
const char *ip_literal(const struct address_ip *ip, char *out);
bool ip_equal(const struct address_ip *a, const struct address_ip *b);
bool ip_is_loopback(const struct address_ip *ip);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone (full prefix). Host bits set: refused. */
bool network_parse(const char *text, size_t length, struct network *network);
bool network_contains(const struct network *network, const struct address_ip *ip);
/* is_any contains every address; a local socket (family 0) is in no list. */
bool network_list_contains(const struct network_list *list, const struct address_ip *ip);

/* "ADDRESS:PORT", "[IPV6]:PORT", "[::]:25" (serves IPv4 too). */
bool listener_parse(const char *text, size_t length, struct sockaddr_storage *address, socklen_t *size);
/* A listening TCP socket, non-blocking, close-on-exec, SO_REUSEADDR, backlog 4096; "[::]" is dual
 * stack, and falls back to 0.0.0.0 where there is no IPv6. RESULT_NEVER: WHY names address and port
 * and, for EADDRINUSE, says how to find who has it. Its connections inherit TCP_NODELAY: replies
 * go out whole, and the end of a long one waits for no acknowledgement. */
enum result listener_open(const struct sockaddr_storage *address, socklen_t size, int *fd, struct why *why);
/* A listening Unix stream socket at PATH with MODE, made beside and renamed into place; its folder
 * is made where it is missing (0755). RESULT_NEVER also where another process listens already. */
enum result listener_open_local(const char *path, mode_t mode, int *fd, struct why *why);

#endif
