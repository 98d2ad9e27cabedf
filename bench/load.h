/* What the parts of mailload share: options, growing buffers, latencies, connections. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>

struct options {
	const char *addr, *domain, *from, *dir, *pass;
	int port, conns, rcpts, per_conn, users, first_user, ndomains, nsrc, hold, delay, tempfail, ramp;
	int pipeline, list, uidl, dele, retr, retry, no_pipe_adv, quiet, full_name;
	long n, size, timeout;
};
extern struct options option;

void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
double now(void);	/* CLOCK_REALTIME */
int to_number(const char *text);
void *xrealloc(void *p, size_t n);

/* Bytes off .. len wait to be sent. */
struct buf { char *p; size_t len, off, cap; };
void put(struct buf *b, const void *p, size_t n);
void putf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* latencies in microseconds */
struct lat { uint32_t *v; long n, cap; };
void lat_add(struct lat *l, double t0, double t1);
void lat_print(const char *name, struct lat *l);

struct conn {
	int fd, st, k, id, sent, failed, want_out, replies, expect;
	long msg;
	double t0, t1, wake;
	struct buf out;
	char *in;                   /* input buffer, in_size bytes, inl used */
	int inl, in_size;
	unsigned tail;              /* sink, pop3: state of the end-of-data match */
	int user, nmsg, next;
	long bytes;
	struct conn *qnext;
	unsigned gen, qgen;
};

extern int ep, nlive, nconnecting;
extern long ndone, nissued, nerr, nconn_made;
extern double t_first, t_last;
extern char last_err[200];
extern volatile int stopping;	/* set by a signal */

void set_events(struct conn *c, int out, int op);
void flush_out(struct conn *c);
void note_err(const char *s, int n);
int dial(struct conn *c);	/* -1: failed at once */
void hangup(struct conn *c);
struct conn *new_conns(int n, int in_size);

void make_body(void);
void put_message(struct conn *c);	/* message c->msg and its final dot */

/* The modes; each returns the exit code. */
int mode_smtp(void);
int mode_idle(void);
int mode_pop3(void);
int mode_sink(void);
int mode_wait(void);
int mode_mkbox(void);

#endif
