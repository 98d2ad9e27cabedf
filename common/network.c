/* See network.h. */
#include "network.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 4096 };

void ip_unmap(struct address_ip *ip)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (ip->family != 6 || memcmp(ip->bytes, mapped, sizeof mapped) != 0)
		return;
	memmove(ip->bytes, ip->bytes + 12, 4);
	memset(ip->bytes + 4, 0, 12);
	ip->family = 4;
}

bool ip_parse(const char *text, size_t length, struct address_ip *ip)
{
	char copy[NETWORK_TEXT_MAX];

	memset(ip, 0, sizeof *ip);
	if (length == 0 || length >= sizeof copy || memchr(text, '\0', length))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	ip->family = strchr(copy, ':') ? 6 : 4;
	if (inet_pton(ip->family == 6 ? AF_INET6 : AF_INET, copy, ip->bytes) != 1) {
		memset(ip, 0, sizeof *ip);
		return false;
	}
	ip_unmap(ip);
	return true;
}

bool ip_from_sockaddr(const struct sockaddr *address, struct address_ip *ip, uint16_t *port)
{
	memset(ip, 0, sizeof *ip);
	if (port)
		*port = 0;
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		ip->family = 4;
		memcpy(ip->bytes, &in.sin_addr, 4);
		if (port)
			*port = ntohs(in.sin_port);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		ip->family = 6;
		memcpy(ip->bytes, &in6.sin6_addr, 16);
		if (port)
			*port = ntohs(in6.sin6_port);
		ip_unmap(ip);
		return true;
	}
	return address->sa_family == AF_UNIX;
}

const char *ip_text(const struct address_ip *ip, char *out)
{
	if (ip->family == 0 || !inet_ntop(ip->family == 6 ? AF_INET6 : AF_INET, ip->bytes, out, NETWORK_TEXT_MAX))
		snprintf(out, NETWORK_TEXT_MAX, "local");
	return out;
}

const char *ip_literal(const struct address_ip *ip, char *out)
{
	char text[NETWORK_TEXT_MAX];

	snprintf(out, NETWORK_TEXT_MAX, "[%s%.46s]", ip->family == 6 ? "IPv6:" : "", ip_text(ip, text));
	return out;
}

bool ip_equal(const struct address_ip *a, const struct address_ip *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool ip_is_loopback(const struct address_ip *ip)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (ip->family == 4)
		return ip->bytes[0] == 127;
	return ip->family == 6 && memcmp(ip->bytes, one, sizeof one) == 0;
}

/* Clears all bits after PREFIX; says whether any was set. */
static bool ip_mask(struct address_ip *ip, unsigned prefix)
{
	bool changed = false;
	unsigned bytes = ip->family == 6 ? 16 : 4;

	for (unsigned i = 0; i < bytes; i++) {
		unsigned kept = prefix >= (i + 1) * 8 ? 8 : prefix > i * 8 ? prefix - i * 8 : 0;
		uint8_t mask = (uint8_t)(0xff00u >> kept);
		if (ip->bytes[i] & (uint8_t)~mask)
			changed = true;
		ip->bytes[i] &= mask;
	}
	return changed;
}

bool network_parse(const char *text, size_t length, struct network *network)
{
	const char *slash = memchr(text, '/', length);
	size_t ip_length = slash ? (size_t)(slash - text) : length;
	uint64_t prefix;
	bool was_mapped;

	if (!ip_parse(text, ip_length, &network->ip))
		return false;
	was_mapped = network->ip.family == 4 && memchr(text, ':', ip_length);
	prefix = network->ip.family == 6 ? 128 : 32;
	if (slash) {
		uint64_t given;
		if (!text_to_number(slash + 1, length - ip_length - 1, &given))
			return false;
		if (was_mapped && given < 96)
			return false;
		given -= was_mapped ? 96 : 0;
		if (given > prefix)
			return false;
		prefix = given;
	}
	network->prefix = (uint8_t)prefix;
	return !ip_mask(&network->ip, network->prefix);
}

bool network_contains(const struct network *network, const struct address_ip *ip)
{
	struct address_ip masked = *ip;

	if (ip->family == 0 || ip->family != network->ip.family)
		return false;
	ip_mask(&masked, network->prefix);
	return ip_equal(&masked, &network->ip);
}

bool network_list_contains(const struct network_list *list, const struct address_ip *ip)
{
	if (ip->family == 0)
		return false;
	if (list->is_any)
		return true;
	for (size_t i = 0; i < list->count; i++)
		if (network_contains(&list->networks[i], ip))
			return true;
	return false;
}

static bool port_parse(const char *text, size_t length, uint16_t *port)
{
	uint64_t number;

	if (!text_to_number(text, length, &number) || number == 0 || number > 65535)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* An IPv6 address written in brackets stays IPv6: "[::ffff:0.0.0.0]:25" is nobody's wish. */
static bool listener_split(const char *text, size_t length, const char **ip, size_t *ip_length, const char **port)
{
	const char *end = text + length, *colon;

	if (length > 0 && text[0] == '[') {
		const char *close = memchr(text, ']', length);
		if (!close || close + 1 >= end || close[1] != ':')
			return false;
		*ip = text + 1;
		*ip_length = (size_t)(close - text) - 1;
		*port = close + 2;
		return memchr(*ip, ':', *ip_length) != NULL;
	}
	colon = memchr(text, ':', length);
	if (!colon)
		return false;
	*ip = text;
	*ip_length = (size_t)(colon - text);
	*port = colon + 1;
	return true;
}

bool listener_parse(const char *text, size_t length, struct sockaddr_storage *address, socklen_t *size)
{
	const char *ip_start, *port_start;
	size_t ip_length;
	struct address_ip ip;
	uint16_t port;

	memset(address, 0, sizeof *address);
	if (!listener_split(text, length, &ip_start, &ip_length, &port_start) || !ip_parse(ip_start, ip_length, &ip) ||
	    !port_parse(port_start, (size_t)(text + length - port_start), &port))
		return false;
	if (ip.family == 6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
		memcpy(&in6.sin6_addr, ip.bytes, 16);
		memcpy(address, &in6, sizeof in6);
		*size = sizeof in6;
	} else {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
		memcpy(&in.sin_addr, ip.bytes, 4);
		memcpy(address, &in, sizeof in);
		*size = sizeof in;
	}
	return true;
}

static enum result listener_failure(const struct sockaddr_storage *address, const char *what, struct why *why)
{
	struct address_ip ip;
	uint16_t port;
	char text[NETWORK_TEXT_MAX];
	int saved = errno;

	ip_from_sockaddr((const struct sockaddr *)address, &ip, &port);
	ip_text(&ip, text);
	errno = saved;
	if (saved == EADDRINUSE)
		return why_set(why, RESULT_NEVER, "%s %s port %u: in use by another program; `ss -ltnp 'sport = :%u'` shows which",
		               what, text, port, port);
	if (saved == EACCES)
		return why_set(why, RESULT_NEVER, "%s %s port %u: not permitted; ports below 1024 need root", what, text, port);
	return why_errno(why, RESULT_NEVER, "%s %s port %u", what, text, port);
}

static bool is_ipv6_any(const struct sockaddr_storage *address)
{
	struct sockaddr_in6 in6;

	if (address->ss_family != AF_INET6)
		return false;
	memcpy(&in6, address, sizeof in6);
	return IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static enum result listener_open_ipv4_any(const struct sockaddr_storage *address, int *fd, struct why *why)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_storage storage = { 0 };

	memcpy(&in6, address, sizeof in6);
	in.sin_port = in6.sin6_port;
	memcpy(&storage, &in, sizeof in);
	return listener_open(&storage, sizeof in, fd, why);
}

enum result listener_open(const struct sockaddr_storage *address, socklen_t size, int *fd, struct why *why)
{
	const int on = 1, only = is_ipv6_any(address) ? 0 : 1;
	int s = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enum result result;

	*fd = -1;
	if (s < 0 && errno == EAFNOSUPPORT && is_ipv6_any(address))
		return listener_open_ipv4_any(address, fd, why);
	if (s < 0)
		return listener_failure(address, "open a socket for", why);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (address->ss_family == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
	if (bind(s, (const struct sockaddr *)address, size) == 0 && listen(s, LISTEN_BACKLOG) == 0) {
		*fd = s;
		return RESULT_OK;
	}
	if (errno == EADDRNOTAVAIL && is_ipv6_any(address)) {	/* IPv6 is switched off at run time */
		close(s);
		return listener_open_ipv4_any(address, fd, why);
	}
	result = listener_failure(address, "listen on", why);
	close(s);
	return result;
}

/* /run is empty when the machine starts. What goes wrong here is said by bind. */
static void make_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof ((struct sockaddr_un *)0)->sun_path];

	if (slash && slash != path && snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path) < (int)sizeof folder &&
	    mkdir(folder, 0755) == 0)
		chmod(folder, 0755);	/* whatever the umask */
}

/* Does anybody listen there? One that is only left over refuses. */
static bool is_served(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is = s >= 0 && snprintf(un.sun_path, sizeof un.sun_path, "%s", path) < (int)sizeof un.sun_path &&
	          (connect(s, (const struct sockaddr *)&un, sizeof un) == 0 || errno == EAGAIN);

	if (s >= 0)
		close(s);
	return is;
}

/* Beside and renamed: whoever connects finds the old socket or the new one, never none. */
enum result listener_open_local(const char *path, mode_t mode, int *fd, struct why *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int s, length = snprintf(un.sun_path, sizeof un.sun_path, "%s.%ld", path, (long)getpid());

	*fd = -1;
	if (length < 0 || (size_t)length >= sizeof un.sun_path)
		return why_set(why, RESULT_NEVER, "%s: the path of a socket has at most %zu characters; choose a shorter folder",
		               path, sizeof un.sun_path - 10);
	if (is_served(path))
		return why_set(why, RESULT_NEVER, "listen on %s: another process does so already; does this service run twice?", path);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0)
		return why_errno(why, RESULT_NEVER, "open a socket for %s", path);
	make_folder_of(path);
	unlink(un.sun_path);
	if (bind(s, (const struct sockaddr *)&un, sizeof un) == 0 && chmod(un.sun_path, mode) == 0 &&
	    listen(s, LISTEN_BACKLOG) == 0 && rename(un.sun_path, path) == 0) {
		*fd = s;
		return RESULT_OK;
	}
	why_errno(why, RESULT_NEVER, "listen on %s", path);
	unlink(un.sun_path);
	close(s);
	return RESULT_NEVER;
}
