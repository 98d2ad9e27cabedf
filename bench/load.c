/* The shared parts of mailload: memory, buffers, latencies, connections, messages. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	exit(1);
}

double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int to_number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

void *xrealloc(void *p, size_t n)
{
	if (!(p = realloc(p, n)))
		die("memory");
	return p;
}

void put(struct buf *b, const void *p, size_t n)
{
	if (b->off == b->len)
		b->off = b->len = 0;
	if (b->len + n > b->cap)
		b->p = xrealloc(b->p, b->cap = (b->len + n) * 2 + 256);
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

void putf(struct buf *b, const char *fmt, ...)
{
	char s[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(s, sizeof s, fmt, ap);
	va_end(ap);
	put(b, s, n < (int)sizeof s ? n : (int)sizeof s - 1);
}

void lat_add(struct lat *l, double t0, double t1)
{
	if (l->n == l->cap)
		l->v = xrealloc(l->v, (l->cap = l->cap * 2 + 1024) * sizeof *l->v);
	l->v[l->n++] = (uint32_t)((t1 - t0) * 1e6);
}

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

void lat_print(const char *name, struct lat *l)
{
	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof *l->v, cmp_u32);
	printf(" %s_ms p50=%.2f p95=%.2f p99=%.2f max=%.2f", name, l->v[l->n / 2] / 1e3, l->v[l->n * 95 / 100] / 1e3,
	       l->v[l->n * 99 / 100] / 1e3, l->v[l->n - 1] / 1e3);
}


int ep, nlive, nconnecting;
long ndone, nissued, nerr, nconn_made;
double t_first, t_last;
char last_err[200];

void set_events(struct conn *c, int out, int op)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c };
	if (epoll_ctl(ep, op, c->fd, &ev))
		die("epoll_ctl");
	c->want_out = out;
}

void flush_out(struct conn *c)
{
	while (c->out.off < c->out.len) {
		ssize_t r = send(c->fd, c->out.p + c->out.off, c->out.len - c->out.off, MSG_NOSIGNAL);
		if (r < 0) {
			if (errno == EINTR)
				continue;
			break;      /* EAGAIN: wait; an error shows again as a read event */
		}
		c->out.off += r;
	}
	int more = c->out.off < c->out.len;
	if (more != c->want_out)
		set_events(c, more, EPOLL_CTL_MOD);
}

void note_err(const char *s, int n)
{
	while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	snprintf(last_err, sizeof last_err, "%.*s", n, s);
}

int dial(struct conn *c)
{
	struct sockaddr_in sa = { .sin_family = AF_INET }, src = { .sin_family = AF_INET };
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (option.nsrc > 1) {           /* spread over 127.0.1.1.. so that no per-address limit or port range bites */
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		src.sin_addr.s_addr = htonl(0x7f000101u + c->id % option.nsrc);
		if (bind(c->fd, (struct sockaddr *)&src, sizeof src))
			die("bind");
	}
	sa.sin_port = htons(option.port);
	if (inet_pton(AF_INET, option.addr, &sa.sin_addr) != 1)
		die("address %s", option.addr);
	c->inl = 0, c->out.len = c->out.off = 0, c->sent = 0, c->st = 0, c->k = 0, c->tail = 0;
	c->t0 = now();
	if (!t_first)
		t_first = c->t0;
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof sa) && errno != EINPROGRESS) {
		note_err("connect failed", 14);
		close(c->fd);
		c->fd = -1;
		return -1;
	}
	nconn_made++, nlive++;
	set_events(c, 0, EPOLL_CTL_ADD);
	return 0;
}

void hangup(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd), c->fd = -1, nlive--;
}

struct conn *new_conns(int n, int in_size)
{
	struct conn *cs = calloc(n, sizeof *cs);
	for (int i = 0; i < n; i++) {
		cs[i].fd = -1, cs[i].id = i, cs[i].msg = -1, cs[i].in_size = in_size;
		cs[i].in = xrealloc(NULL, in_size);
	}
	return cs;
}

static struct buf body;

void make_body(void)
{
	for (long i = 0; (long)body.len < option.size + 80; i++)
		putf(&body, "%08ld The quick brown fox jumps over the lazy dog, and then once more now\r\n", i);
	if (option.size >= 2) {
		body.len = option.size;
		memcpy(body.p + option.size - 2, "\r\n", 2);
	}
}

void put_message(struct conn *c)
{
	size_t before = c->out.len - c->out.off, used;
	putf(&c->out, "From: <%s>\r\nTo: <undisclosed@%s>\r\nSubject: bench %ld\r\n"
	     "Date: Fri, 21 Nov 2025 20:09:00 +0000\r\nMessage-ID: <%ld.%d.%ld@sender.test>\r\n\r\n",
	     option.from, option.domain, c->msg, c->msg, (int)getpid(), (long)c->t0);
	used = c->out.len - c->out.off - before;
	if ((long)used < option.size)
		put(&c->out, body.p + used, option.size - used);  /* ends in CRLF at any start */
	put(&c->out, ".\r\n", 3);
}
