/* mailload - load generator and sink for mail server benchmarks (epoll, no libraries).
 *
 *   mailload smtp  send -n messages over -c connections        mailload idle  hold -c connections for -H seconds
 *   mailload pop3  run -n POP3 sessions, -c at a time          mailload sink  accept and count everything on -p
 *   mailload wait  wait for -n files in DIR/<box>/new          mailload mkbox fill -u maildirs with -n messages
 *
 * Every mode is bounded in count and by -t seconds, and prints one line of key=value results.
 * Times start= and end= are CLOCK_REALTIME seconds, so that several processes can be set against each other. */
#include "load.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

struct options option = {
	.addr = "127.0.0.1", .domain = "local.test", .from = "bench@sender.test", .dir = ".", .pass = "pw",
	.port = 25, .conns = 1, .rcpts = 1, .users = 100, .ndomains = 1, .nsrc = 1, .ramp = 64, .n = 1000,
	.size = 5000, .timeout = 300, .retr = -1,
};
volatile int stopping;

static void on_term(int s)
{
	(void)s;
	stopping = 1;
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: mailload smtp|idle|pop3|sink|wait|mkbox [options]\n"
		" -a ADDR -p PORT -t SECS(total bound) -n COUNT -c CONNS -B NSRC(source addresses 127.0.1.x) -R RAMP(pending connects)\n"
		" smtp:  -s SIZE -r RCPTS -M MSGS_PER_CONN -u USERS -U FIRST_USER -D DOMAIN -k NDOMAINS -f FROM -P(ipeline) -y(retry)\n"
		" idle:  -H HOLD_SECS      pop3: -u USERS -D DOMAIN(in the user name) -W PASS -l(LIST) -i(UIDL) -g N(RETR N, -1 all) -x(DELE) -P(ipeline 16)\n"
		" sink:  -n RCPTS(exit after) -w DELAY_MS per round trip -X TEMPFAIL_%% -N(o PIPELINING) -q\n"
		" wait:  -d DIR -u USERS -n FILES    mkbox: -d DIR -u USERS -n MSGS -s SIZE\n");
	exit(2);
}

static const struct { const char *name; int (*run)(void); } modes[] = {
	{ "smtp", mode_smtp }, { "idle", mode_idle }, { "pop3", mode_pop3 },
	{ "sink", mode_sink }, { "wait", mode_wait }, { "mkbox", mode_mkbox },
};

int main(int argc, char **argv)
{
	struct rlimit rl;
	int ch;
	if (argc < 2)
		usage();
	const char *mode = argv[1];
	argv++, argc--;
	while ((ch = getopt(argc, argv, "a:p:t:n:c:B:R:s:r:M:u:U:D:k:f:PyH:W:lig:xw:X:Nqd:")) != -1)
		switch (ch) {
		case 'a': option.addr = optarg; break;
		case 'p': option.port = to_number(optarg); break;
		case 't': option.timeout = to_number(optarg); break;
		case 'n': option.n = to_number(optarg); break;
		case 'c': option.conns = to_number(optarg); break;
		case 'B': option.nsrc = to_number(optarg); break;
		case 'R': option.ramp = to_number(optarg); break;
		case 's': option.size = to_number(optarg); break;
		case 'r': option.rcpts = to_number(optarg); break;
		case 'M': option.per_conn = to_number(optarg); break;
		case 'u': option.users = to_number(optarg); break;
		case 'U': option.first_user = to_number(optarg); break;
		case 'D': option.domain = optarg, option.full_name = 1; break;
		case 'k': option.ndomains = to_number(optarg); break;
		case 'f': option.from = optarg; break;
		case 'P': option.pipeline = 16; break;
		case 'y': option.retry = 1; break;
		case 'H': option.hold = to_number(optarg); break;
		case 'W': option.pass = optarg; break;
		case 'l': option.list = 1; break;
		case 'i': option.uidl = 1; break;
		case 'g': option.retr = to_number(optarg); break;
		case 'x': option.dele = 1; break;
		case 'w': option.delay = to_number(optarg); break;
		case 'X': option.tempfail = to_number(optarg); break;
		case 'N': option.no_pipe_adv = 1; break;
		case 'q': option.quiet = 1; break;
		case 'd': option.dir = optarg; break;
		default: usage();
		}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		rl.rlim_cur = rl.rlim_max, setrlimit(RLIMIT_NOFILE, &rl);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	if (option.conns < 1 || option.users < 1 || option.rcpts < 1 || (ep = epoll_create1(EPOLL_CLOEXEC)) < 0)
		usage();
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(mode, modes[i].name))
			return modes[i].run();
	usage();
}
