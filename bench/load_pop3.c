/* mailload pop3: sessions on maildrops. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { IN_SIZE = 65536 };

enum { P_BANNER, P_USER, P_PASS, P_STAT, P_UIDL, P_LIST, P_RETR, P_DELE, P_QUIT };
static struct lat l_login, l_stat, l_uidl, l_list, l_retr, l_session;
static long pop_bytes, pop_msgs;

static void pop_next(struct conn *c)    /* choose the command after STAT */
{
	static const char *cmd[] = { [P_UIDL] = "UIDL\r\n", [P_LIST] = "LIST\r\n" };
	c->t1 = now();
	for (c->st++; ; c->st++) {
		if ((c->st == P_UIDL && option.uidl) || (c->st == P_LIST && option.list)) {
			putf(&c->out, "%s", cmd[c->st]);
			return;
		}
		int n = option.retr < 0 || option.retr > c->nmsg ? c->nmsg : option.retr;
		if ((c->st == P_RETR || (c->st == P_DELE && option.dele)) && n) {
			c->next = 1, c->k = 0, c->expect = n;
			int burst = option.pipeline ? option.pipeline : 1;
			for (; c->next <= n && c->next <= burst; c->next++)
				putf(&c->out, "%s %d\r\n", c->st == P_RETR ? "RETR" : "DELE", c->next);
			return;
		}
		if (c->st == P_QUIT) {
			putf(&c->out, "QUIT\r\n");
			return;
		}
	}
}

static void pop_line(struct conn *c, const char *p, int len)   /* a one-line reply */
{
	double t = now();
	if (len < 3 || memcmp(p, "+OK", 3)) {
		note_err(p, len);
		nerr++, c->failed = 1, c->st = P_QUIT;
		putf(&c->out, "QUIT\r\n");
		return;
	}
	switch (c->st) {
	case P_BANNER:
		nconnecting--;
		putf(&c->out, option.full_name ? "USER u%d@%s\r\n" : "USER u%d\r\n", c->user, option.domain);
		c->t1 = t, c->st = P_USER;
		break;
	case P_USER:
		putf(&c->out, "PASS %s\r\n", option.pass);
		c->st = P_PASS;
		break;
	case P_PASS:
		lat_add(&l_login, c->t1, t);
		putf(&c->out, "STAT\r\n");
		c->t1 = t, c->st = P_STAT;
		break;
	case P_STAT:
		lat_add(&l_stat, c->t1, t);
		c->nmsg = to_number(p + 3);
		pop_next(c);
		break;
	case P_DELE:
		if (++c->k == c->expect)
			pop_next(c);
		else if (c->next <= c->expect)
			putf(&c->out, "DELE %d\r\n", c->next++);
		break;
	case P_QUIT:
		break;
	}
}

static void pop_multi_end(struct conn *c)
{
	double t = now();
	if (c->st == P_UIDL || c->st == P_LIST) {
		lat_add(c->st == P_UIDL ? &l_uidl : &l_list, c->t1, t);
		pop_next(c);
	} else {
		pop_msgs++;
		if (++c->k == c->expect) {
			lat_add(&l_retr, c->t1, t);
			pop_next(c);
		} else if (c->next <= c->expect)
			putf(&c->out, "RETR %d\r\n", c->next++);
	}
}

static int pop_is_multi(const struct conn *c)
{
	return c->st == P_UIDL || c->st == P_LIST || c->st == P_RETR;
}

static void pop_input(struct conn *c)
{
	char *p = c->in, *end = c->in + c->inl, *nl, *hit;
	while (p < end) {
		if (!pop_is_multi(c)) {
			if (!(nl = memchr(p, '\n', end - p)))
				break;
			int was = c->st;
			pop_line(c, p, nl - p);
			p = nl + 1;
			if (was != c->st)
				c->tail = 0;
			continue;
		}
		if (!c->tail) {     /* status line of a multi-line reply */
			if (!(nl = memchr(p, '\n', end - p)))
				break;
			if (*p != '+') {
				pop_line(c, p, nl - p);
				p = nl + 1;
				continue;
			}
			p = nl - 1;     /* keep CRLF in front: an empty list ends in CRLF . CRLF */
			c->tail = 1;
		}
		if ((hit = memmem(p, end - p, "\r\n.\r\n", 5))) {
			if (c->st == P_RETR)
				c->bytes += hit + 2 - p;
			p = hit + 5;
			c->tail = 0;
			pop_multi_end(c);
		} else {
			size_t keep = end - p < 4 ? end - p : 4;
			if (c->st == P_RETR)
				c->bytes += end - p - keep;
			p = end - keep;
			break;
		}
	}
	c->inl = end - p;
	memmove(c->in, p, c->inl);
}

static void pop_closed(struct conn *c)
{
	if (c->st == P_BANNER)
		nconnecting--;
	if (c->st == P_QUIT && !c->failed) {
		t_last = now();
		lat_add(&l_session, c->t0, t_last);
		ndone++;
		pop_bytes += c->bytes;
	} else if (!c->failed) {
		nerr++;
		note_err("connection lost", 15);
	}
	hangup(c);
	c->wake = nissued < option.n ? 0 : -1;
}

int mode_pop3(void)
{
	struct conn *cs = new_conns(option.conns, IN_SIZE);
	struct epoll_event ev[256];
	double begin = now();
	for (;;) {
		int waiting = 0;
		for (int i = 0; i < option.conns; i++)
			if (cs[i].fd < 0 && cs[i].wake >= 0 && nissued < option.n) {
				waiting = 1;
				if (nconnecting < option.ramp && dial(&cs[i]) == 0) {
					/* as many boxes as connections: one each, since a server may refuse a second session on one */
					cs[i].user = option.first_user + (option.conns == option.users ? i : nissued) % option.users;
					nissued++;
					cs[i].bytes = 0, cs[i].failed = 0;
					nconnecting++;
				}
			}
		if ((!waiting && !nlive) || now() - begin > option.timeout || nerr > 10000)
			break;
		int n = epoll_wait(ep, ev, 256, 20);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			ssize_t r = recv(c->fd, c->in + c->inl, c->in_size - c->inl, 0);
			if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
				flush_out(c);
				continue;
			}
			if (r <= 0) {
				pop_closed(c);
				continue;
			}
			c->inl += r;
			pop_input(c);
			flush_out(c);
		}
	}
	double s = t_last - t_first;
	printf("pop3: sessions=%ld errors=%ld secs=%.3f rate=%.1f/s msgs=%ld MB=%.1f MBps=%.2f", ndone, nerr, s, ndone / s,
	       pop_msgs, pop_bytes / 1e6, pop_bytes / 1e6 / s);
	lat_print("login", &l_login);
	lat_print("stat", &l_stat);
	lat_print("uidl", &l_uidl);
	lat_print("list", &l_list);
	lat_print("retr", &l_retr);
	lat_print("session", &l_session);
	if (nerr)
		printf(" last_error=\"%s\"", last_err);
	putchar('\n');
	return ndone != option.n;
}
