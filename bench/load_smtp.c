/* mailload smtp and idle: the sending side. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { S_BANNER, S_EHLO, S_ENV, S_BODY, S_RSET, S_QUIT, S_HELD };
static struct lat l_msg, l_conn;
static long held_ok, held_bad;
static int idle_mode;
static long nretry_q, last_code;
static long *retry_q;

static long next_msg(void)
{
	if (nretry_q)
		return retry_q[--nretry_q];
	return nissued < option.n ? nissued++ : -1;
}

static void fail_msg(struct conn *c)
{
	nerr++;
	if (c->msg >= 0 && option.retry && nerr < 100000)
		retry_q = xrealloc(retry_q, (nretry_q + 1) * sizeof *retry_q), retry_q[nretry_q++] = c->msg;
	c->msg = -1;
}

static void put_rcpt(struct conn *c, int j)
{
	long i = c->msg * option.rcpts + j;
	putf(&c->out, "RCPT TO:<u%ld@", option.first_user + i % option.users);
	if (option.ndomains > 1)
		putf(&c->out, "d%ld.%s>\r\n", 1 + i % option.ndomains, option.domain);
	else
		putf(&c->out, "%s>\r\n", option.domain);
}

static void put_env(struct conn *c, int k)
{
	if (k == 0)
		putf(&c->out, "MAIL FROM:<%s>\r\n", option.from);
	else if (k <= option.rcpts)
		put_rcpt(c, k - 1);
	else
		putf(&c->out, "DATA\r\n");
}

static void start_msg(struct conn *c)
{
	if ((option.per_conn && c->sent >= option.per_conn) || (c->msg = next_msg()) < 0) {
		putf(&c->out, "QUIT\r\n");
		c->st = S_QUIT;
		return;
	}
	c->st = S_ENV, c->k = 0, c->failed = 0, c->sent++;
	c->t0 = now();
	put_env(c, 0);
	for (int k = 1; option.pipeline && k <= option.rcpts + 1; k++)
		put_env(c, k);
}

static void smtp_reply(struct conn *c, int code, const char *line, int len)
{
	int ok = code >= 200 && code < 400;
	double t;
	last_code = code;
	if (!ok)
		note_err(line, len);
	switch (c->st) {
	case S_BANNER:
		nconnecting--;
		if (!ok) {
			nerr++;
			c->st = S_QUIT;
			putf(&c->out, "QUIT\r\n");
			break;
		}
		lat_add(&l_conn, c->t0, now());
		putf(&c->out, "EHLO load.test\r\n");
		c->st = S_EHLO;
		break;
	case S_EHLO:
		if (idle_mode) {
			c->st = S_HELD;
			ok ? held_ok++ : held_bad++;
		} else
			start_msg(c);
		break;
	case S_ENV:
		if (!ok && c->k <= option.rcpts)
			c->failed = 1;
		if (c->k == option.rcpts + 1) {
			if (code == 354) {
				put_message(c);
				c->st = S_BODY;
			} else {
				fail_msg(c);
				putf(&c->out, "RSET\r\n");
				c->st = S_RSET;
			}
		} else if (c->failed && !option.pipeline) {
			fail_msg(c);
			putf(&c->out, "RSET\r\n");
			c->st = S_RSET;
		} else {
			c->k++;
			if (!option.pipeline)
				put_env(c, c->k);
		}
		break;
	case S_BODY:
		t = now();
		if (ok && !c->failed) {
			lat_add(&l_msg, c->t0, t);
			t_last = t;
			ndone++;
			c->msg = -1;
		} else
			fail_msg(c);
		start_msg(c);
		break;
	case S_RSET:
		start_msg(c);
		break;
	}
}

static void smtp_closed(struct conn *c)
{
	if (c->st == S_BANNER)
		nconnecting--;
	if (c->st == S_HELD)
		held_ok--, held_bad++;
	else if (c->st != S_QUIT) {
		note_err("connection lost", 15);
		if (c->st == S_ENV || c->st == S_BODY)
			fail_msg(c);
		else
			nerr++;
	}
	hangup(c);
	if (!idle_mode && (nissued < option.n || nretry_q))
		c->wake = now() + (c->st == S_QUIT && last_code < 400 ? 0 : 0.05);
	else
		c->wake = -1;
}

static void lines(struct conn *c, void (*reply)(struct conn *, int, const char *, int))
{
	char *p = c->in, *end = c->in + c->inl, *nl;
	while ((nl = memchr(p, '\n', end - p))) {
		if (nl - p >= 3 && p[3] != '-')
			reply(c, to_number(p), p, nl - p);
		p = nl + 1;
	}
	c->inl = end - p;
	memmove(c->in, p, c->inl);
}

static void smtp_event(struct conn *c, unsigned ev)
{
	(void)ev;
	ssize_t r = recv(c->fd, c->in + c->inl, c->in_size - c->inl, 0);
	if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
		flush_out(c);
		return;
	}
	if (r <= 0) {
		smtp_closed(c);
		return;
	}
	c->inl += r;
	lines(c, smtp_reply);
	if (c->inl == c->in_size)
		c->inl = 0;
	flush_out(c);
}

int mode_smtp(void)
{
	struct conn *cs = new_conns(option.conns, 4096);
	struct epoll_event ev[256];
	double begin = now(), settled = 0, t;
	long held_at = 0;
	make_body();
	for (;;) {
		int waiting = 0;
		t = now();
		for (int i = 0; i < option.conns; i++)
			if (cs[i].fd < 0 && cs[i].wake >= 0) {
				if (!idle_mode && nissued >= option.n && !nretry_q)
					continue;
				waiting = 1;
				if (nconnecting < option.ramp && cs[i].wake <= t && dial(&cs[i]) == 0)
					nconnecting++;
			}
		if (idle_mode) {
			if (!settled && ((!waiting && !nconnecting) || t - begin > option.timeout) &&
			    (held_ok + held_bad + nerr >= option.conns || t - begin > option.timeout)) {
				held_at = held_ok, settled = t;
				printf("idle: held=%ld of=%d refused=%ld setup_s=%.3f", held_ok, option.conns,
				       held_bad + nerr, t - begin);
				lat_print("connect", &l_conn);
				printf(" last_error=\"%s\"\n", last_err);
				fflush(stdout);
			}
			if (settled && t - settled > option.hold)
				break;
		} else if ((!waiting && !nlive) || nerr > 200000 || t - begin > option.timeout)
			break;
		int n = epoll_wait(ep, ev, 256, waiting ? 10 : 200);
		for (int i = 0; i < n; i++)
			smtp_event(ev[i].data.ptr, ev[i].events);
	}
	if (idle_mode) {
		printf("idle: after=%ds still_held=%ld lost=%ld\n", option.hold, held_ok, held_at - held_ok);
		return 0;
	}
	printf("smtp: done=%ld errors=%ld conns=%ld secs=%.3f rate=%.1f/s start=%.3f end=%.3f", ndone, nerr, nconn_made,
	       t_last - t_first, ndone / (t_last - t_first), t_first, t_last);
	lat_print("msg", &l_msg);
	if (nerr)
		printf(" last_error=\"%s\"", last_err);
	putchar('\n');
	return ndone != option.n;
}


int mode_idle(void)
{
	idle_mode = 1;
	return mode_smtp();
}
