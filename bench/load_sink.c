/* mailload sink: the receiving side. */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { K_CMD, K_DATA };
static struct conn *delay_head, **delay_tail = &delay_head, *free_list;
static long sink_rcpts, sink_conns, sink_tempfail, sink_max, sink_live;

static void sink_close(struct conn *c)
{
	close(c->fd);
	c->fd = -1, c->gen++, sink_live--;
	if (!c->expect)                 /* not in the delay queue */
		c->qnext = free_list, free_list = c;
}

static int sink_roll(void)
{
	static unsigned x = 12345;
	x = x * 1103515245u + 12345u;
	return option.tempfail && (int)((x >> 16) % 100) < option.tempfail;
}

static void sink_cmd(struct conn *c, const char *p, int len)
{
	if (len >= 4 && !strncasecmp(p, "RCPT", 4)) {
		if (sink_roll()) {
			sink_tempfail++;
			putf(&c->out, "451 4.3.0 try later\r\n");
		} else {
			c->k++;
			putf(&c->out, "250 2.1.5 ok\r\n");
		}
	} else if (len >= 4 && !strncasecmp(p, "DATA", 4)) {
		if (!c->k) {
			putf(&c->out, "554 5.5.1 no valid recipients\r\n");
			return;
		}
		putf(&c->out, "354 go ahead\r\n");
		c->st = K_DATA, c->tail = 1;    /* as after a CRLF: the dot may come first */
	} else if (len >= 4 && !strncasecmp(p, "EHLO", 4))
		putf(&c->out, "250-sink.test\r\n%s250-8BITMIME\r\n250 SIZE 100000000\r\n",
		     option.no_pipe_adv ? "" : "250-PIPELINING\r\n");
	else if (len >= 4 && !strncasecmp(p, "QUIT", 4)) {
		putf(&c->out, "221 2.0.0 bye\r\n");
		c->failed = 1;
	} else {
		if (len >= 4 && (!strncasecmp(p, "RSET", 4) || !strncasecmp(p, "MAIL", 4)))
			c->k = 0;
		putf(&c->out, "250 2.0.0 ok\r\n");
	}
}

/* Find CRLF . CRLF across reads; returns the byte after it, or NULL. tail: 0 none, 1 LF, 2 LF., 3 LF.CR */
static char *sink_dot(struct conn *c, char *p, char *end)
{
	while (p < end) {
		if (c->tail == 0) {
			if (!(p = memchr(p, '\n', end - p)))
				return NULL;
			c->tail = 1;
		} else if (c->tail == 1)
			c->tail = *p == '.' ? 2 : *p == '\n';
		else if (c->tail == 2)
			c->tail = *p == '\r' ? 3 : *p == '\n';
		else if (*p == '\n')
			return p + 1;
		else
			c->tail = 0;
		p++;
	}
	return NULL;
}

static void sink_send(struct conn *c)
{
	flush_out(c);
	if (c->failed && c->out.off == c->out.len)
		sink_close(c);
}

static void sink_queue(struct conn *c)   /* answer now, or after the delay */
{
	if (c->out.off == c->out.len)
		return;
	if (!option.delay)
		sink_send(c);
	else if (!c->expect) {
		c->expect = 1, c->qgen = c->gen, c->qnext = NULL;
		c->wake = now() + option.delay / 1e3;
		*delay_tail = c, delay_tail = &c->qnext;
	}
}

static void sink_event(struct conn *c)
{
	ssize_t r = recv(c->fd, c->in + c->inl, c->in_size - c->inl, 0);
	if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!c->expect)
			sink_send(c);
		return;
	}
	if (r == 0 && c->out.off < c->out.len) {  /* half-closed with answers still due: send them, then close */
		epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
		c->failed = 1;
		if (!c->expect)
			sink_send(c);
		return;
	}
	if (r <= 0) {
		sink_close(c);
		return;
	}
	char *p = c->in, *end = c->in + c->inl + r, *q;
	while (p < end) {
		if (c->st == K_DATA) {
			if (!(q = sink_dot(c, p, end))) {
				p = end;
				break;
			}
			p = q, c->st = K_CMD;
			ndone++, sink_rcpts += c->k, c->k = 0;
			t_last = now();
			if (!t_first)
				t_first = t_last;
			putf(&c->out, "250 2.0.0 accepted\r\n");
		} else {
			if (!(q = memchr(p, '\n', end - p)))
				break;
			sink_cmd(c, p, q - p);
			p = q + 1;
		}
	}
	c->inl = end - p;
	if (c->inl == c->in_size)
		c->inl = 0;
	memmove(c->in, p, c->inl);
	sink_queue(c);
}

int mode_sink(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(option.port) };
	struct epoll_event ev[256], lev = { .events = EPOLLIN, .data.ptr = NULL };
	int one = 1, lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	double begin = now(), first_conn = 0, report = begin;
	long reported = 0;
	setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(lfd, (struct sockaddr *)&sa, sizeof sa) || listen(lfd, 4096))
		die("port %d", option.port);
	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &lev);
	while (!stopping) {
		double t = now();
		if (t - begin > option.timeout || (option.n && sink_rcpts >= option.n && t - t_last > 0.3))
			break;
		if (!option.quiet && t - report > 5) {
			fprintf(stderr, "sink: %ld messages, %.0f/s, %ld connections open\n", ndone,
				(ndone - reported) / (t - report), sink_live);
			report = t, reported = ndone;
		}
		int wait = 100;
		if (delay_head && (wait = (int)((delay_head->wake - t) * 1e3) + 1) < 0)
			wait = 0;
		int n = epoll_wait(ep, ev, 256, wait > 100 ? 100 : wait);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (c) {
				sink_event(c);
				continue;
			}
			for (int fd; (fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
				if ((c = free_list))
					free_list = c->qnext;
				else
					c = new_conns(1, 16384);
				c->fd = fd, c->st = K_CMD, c->k = 0, c->inl = 0, c->failed = 0, c->expect = 0;
				c->out.len = c->out.off = 0;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				set_events(c, 0, EPOLL_CTL_ADD);
				if (!first_conn)
					first_conn = now();
				sink_conns++;
				if (++sink_live > sink_max)
					sink_max = sink_live;
				putf(&c->out, "220 sink.test ESMTP\r\n");
				sink_queue(c);
			}
		}
		for (t = now(); delay_head && delay_head->wake <= t;) {
			struct conn *c = delay_head;
			if (!(delay_head = c->qnext))
				delay_tail = &delay_head;
			c->expect = 0;
			if (c->qgen != c->gen)
				c->qnext = free_list, free_list = c;
			else
				sink_send(c);
		}
	}
	double s = t_last - t_first;
	printf("sink: msgs=%ld rcpts=%ld conns=%ld max_conns=%ld tempfailed=%ld secs=%.3f rate=%.1f/s start=%.3f end=%.3f\n",
	       ndone, sink_rcpts, sink_conns, sink_max, sink_tempfail, s, s > 0 ? ndone / s : 0, first_conn, t_last);
	return option.n && sink_rcpts < option.n;
}
