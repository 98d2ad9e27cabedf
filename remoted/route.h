/* Where routes.cdb and relay rules send a next hop: dawk-routes(5). */
#ifndef REMOTED_ROUTE_H
#define REMOTED_ROUTE_H

#include "common/network.h"
#include "common/table.h"
#include <stdint.h>

enum { ROUTE_HOST_MAX = 255, ROUTE_PATH_MAX = 107, ROUTE_SECRET_MAX = 64 };

/* What TLS has to be, in order of strength; dawk-site(5). */
enum tls_level {
	TLS_LEVEL_UNSET,	/* as DANE and MTA-STS want it, else as the host offers it */
	TLS_LEVEL_NONE,
	TLS_LEVEL_MAY,		/* as the host offers it, whatever DANE and MTA-STS say */
	TLS_LEVEL_ENCRYPT, TLS_LEVEL_VERIFY, TLS_LEVEL_DANE,
};
extern const char *const tls_level_names[];	/* "none", "may", ..; "" for TLS_LEVEL_UNSET */

struct route {
	bool is_lmtp;
	bool is_exact;			/* brackets: no MX look-up */
	bool is_wrapped;		/* smtps: TLS from the first byte */
	bool is_of_table;		/* it stands in the routes, and is not the domain itself */
	bool is_tls_of_route;		/* the route names TLS, not the site table */
	enum tls_level tls;
	char secret[ROUTE_SECRET_MAX + 1];	/* the name of the login there, "" for none */
	bool is_ip;			/* host is an address: ip is set */
	char host[ROUTE_HOST_MAX + 1];	/* a domain or host, lower case; "" with path */
	char path[ROUTE_PATH_MAX + 1];	/* of a Unix socket, else "" */
	uint16_t port;
	struct address_ip ip;
	struct address_ip sources[2];	/* connections are made from it; of IPv4, of IPv6; family 0: as the system chooses */
	uint8_t family;			/* 4 or 6: addresses of that family alone; 0: both */
	bool never_chunks;		/* BDAT is not used, whatever the host offers */
};

/* The place of the source address for FAMILY (4 or 6). */
static inline struct address_ip *route_source(struct route *route, uint8_t family)
{
	return &route->sources[family == 6];
}

/* NEXT_HOP: a folded address, or a domain. Looked up as the address, its domain, each parent with a dot in
 * front, "*"; without an entry the route is smtp to the domain itself. RESULT_OK; RESULT_RETRY: the table
 * can't be read, or holds what is no route; WHY. */
enum result route_find(struct table *routes, const char *next_hop, struct route *route, struct why *why);

/* The domain whose policies count for NEXT_HOP by ROUTE: the route's host where MX records name the hosts, else its own. */
void route_domain(const struct route *route, const char *next_hop, char domain[ROUTE_HOST_MAX + 1]);

/* What tls=VALUE says; TLS_LEVEL_UNSET for anything else. */
enum tls_level tls_level_parse(const char *value, size_t length);

/* One value of the table: "smtp:[host]:port", "lmtp:unix:/path", then options. Pure. */
enum result route_parse(const char *text, size_t length, struct route *route, struct why *why);

#endif
