/* link: keyd/keys.o */
/* Streams in a loop, as servers use them, with TLS on them; the client is a bare session. */
#include "common/tls_stream.h"
#include "tls_pair.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { LINES = 5000, BULK = LINES * 1000, ANSWER = LINES * 1004, LINE_MAX_SIZE = 4096 };

static struct loop *loop;
static struct stream stream;
static struct watch client_watch;
static struct tls_session *session;
static char *bulk, *taken;
static size_t bulk_sent, bulk_taken, plain_taken;
static char line[LINE_MAX_SIZE];
static size_t line_length;
static enum result stream_result;
static int turns;
static bool stops_when_open;

/* The server: takes whole lines, keeps the rest, answers each with "250 " and the line. */
static void server_ready(struct watch *watch, uint32_t events)
{
	char *bytes, *at, *newline;
	size_t length;

	(void)watch;
	if (events & EPOLLOUT) {
		stream_result = stream_flush(&stream, &why);
		stream_pause(&stream, stream_result == RESULT_RETRY && !stream.is_shaking);
	}
	if (stream_result == RESULT_PEER)
		return loop_stop(loop);
	if (!(events & (EPOLLIN | EPOLLHUP)) || stream.is_paused)
		return;
	stream_result = stream_read(&stream, &bytes, &length, &why);
	if (stream_result == RESULT_PEER || stream_result == RESULT_END)
		return loop_stop(loop);
	if (stream_result != RESULT_OK)
		return;
	for (at = bytes; (newline = memchr(at, '\n', length - (size_t)(at - bytes))); at = newline + 1) {
		if (!session)
			plain_taken++;
		stream_put(&stream, "250 ", 4);
		stream_put(&stream, at, (size_t)(newline + 1 - at));
	}
	CHECK(stream_keep(&stream, at, length - (size_t)(at - bytes)) == RESULT_OK);
	stream_result = stream_flush(&stream, &why);
	stream_pause(&stream, stream_result == RESULT_RETRY);	/* takes no more than it can answer */
	if (stream_result == RESULT_PEER)
		loop_stop(loop);
}

/* The client: shakes hands, then fills LINE until a newline comes. */
static void client_ready(struct watch *watch, uint32_t events)
{
	size_t count;

	(void)watch;
	(void)events;
	if (++turns > 100000)
		return loop_stop(loop);
	if (!session->is_done) {
		if (tls_handshake(session, &why) != RESULT_OK)
			return;
		if (stops_when_open)
			loop_stop(loop);
	}
	if (tls_read(session, line + line_length, sizeof line - line_length, &count, &why) == RESULT_OK)
		line_length += count;
	if (line_length && line[line_length - 1] == '\n')
		loop_stop(loop);
}

static int client_fd;

static void begin(void)
{
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	client_fd = fds[1];
	session = NULL;
	stream_result = RESULT_OK;
	line_length = plain_taken = 0;
	turns = 0;
	CHECK(stream_open(&stream, loop, fds[0], server_ready, &why) == RESULT_OK);
}

static void end(void)
{
	loop_unwatch(loop, &client_watch);
	stream_close(&stream);
	tls_free(session);
	session = NULL;
	close(client_fd);
}

static void begin_client(void)
{
	CHECK(tls_connect(client, client_fd, "a.example", NULL, &session, &why) == RESULT_OK);
	CHECK(loop_watch(loop, &client_watch, client_fd, EPOLLIN, client_ready, &why) == RESULT_OK);
	CHECK(tls_handshake(session, &why) == RESULT_RETRY);
}

static void lines_pass_in_both_directions(void)
{
	size_t count;

	begin();
	CHECK(tls_stream_session(&stream) == NULL);
	CHECK(tls_stream_accept(&stream, server, 0, &why) == RESULT_OK && stream.is_shaking);
	CHECK(stream_put(&stream, "220 hello\r\n", 11) == RESULT_OK);	/* waits for the handshake */
	CHECK(stream_flush(&stream, &why) == RESULT_RETRY);
	begin_client();
	loop_run(loop, &why);
	CHECK(line_length == 11 && !memcmp(line, "220 hello\r\n", 11) && !stream.is_shaking);
	CHECK(tls_stream_session(&stream) != NULL);
	for (const char *part = "EHLO x\n"; *part; part++) {	/* a record a byte */
		CHECK(tls_write(session, part, 1, &count, &why) == RESULT_OK);
	}
	line_length = 0;
	loop_run(loop, &why);
	CHECK(line_length == 11 && !memcmp(line, "250 EHLO x\n", 11));
	CHECK(stream_shutdown(&stream) == 0);
	CHECK(tls_read(session, line, sizeof line, &count, &why) == RESULT_END);
	end();
}

static void time_is_up(struct timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

/* The client says goodbye in one piece with a line, and leaves the connection open. */
static void an_end_right_behind_data_is_noticed(void)
{
	static struct timer timer;
	size_t count;

	begin();
	CHECK(tls_stream_accept(&stream, server, 0, &why) == RESULT_OK);
	begin_client();
	stops_when_open = true;
	loop_run(loop, &why);
	stops_when_open = false;
	CHECK(tls_write(session, "QUIT\n", 5, &count, &why) == RESULT_OK);
	tls_bye(session);
	while (line_length == 0)
		loop_run(loop, &why);
	CHECK(line_length == 9 && !memcmp(line, "250 QUIT\n", 9));
	loop_unwatch(loop, &client_watch);
	loop_set_timer(loop, &timer, 100 * 1000, time_is_up);
	while (timer.place && stream_result != RESULT_END)
		loop_run(loop, &why);
	CHECK(stream_result == RESULT_END);
	loop_unset_timer(loop, &timer);
	end();
}

static void what_came_in_clear_does_not_survive(void)	/* RFC 3207 4.2 */
{
	static const char together[] = "STARTTLS\nMAIL FROM:<evil@example>\nRSET";
	size_t count;

	begin();
	CHECK(write(client_fd, together, sizeof together - 1) > 0);
	server_ready(&stream.watch, EPOLLIN);
	CHECK(plain_taken == 2 && stream.kept_length == 4);
	CHECK(read(client_fd, line, sizeof line) > 0);
	CHECK(tls_stream_accept(&stream, server, 0, &why) == RESULT_OK);
	CHECK(stream.kept_length == 0);
	begin_client();
	stops_when_open = true;
	loop_run(loop, &why);
	stops_when_open = false;
	CHECK(tls_write(session, "NOOP\n", 5, &count, &why) == RESULT_OK);
	loop_run(loop, &why);
	CHECK(line_length == 9 && !memcmp(line, "250 NOOP\n", 9));	/* and nothing before it */
	end();
}

static void send_bulk(struct watch *watch, uint32_t events)
{
	size_t count;

	(void)watch;
	if (++turns > 200000)
		return loop_stop(loop);
	if (!session->is_done && tls_handshake(session, &why) != RESULT_OK)
		return;
	if (events & EPOLLOUT && bulk_sent < BULK && tls_write(session, bulk + bulk_sent, BULK - bulk_sent, &count, &why) == RESULT_OK)
		bulk_sent += count;
	while (bulk_taken < ANSWER && tls_read(session, taken + bulk_taken, ANSWER - bulk_taken, &count, &why) == RESULT_OK)
		bulk_taken += count;
	loop_rewatch(loop, &client_watch, bulk_sent < BULK ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (bulk_taken == ANSWER)
		loop_stop(loop);
}

static void bulk_passes_whole_with_small_buffers(void)
{
	size_t i, wrong = 0;
	int small = 8192;

	bulk = malloc(BULK);
	taken = malloc(ANSWER);
	for (i = 0; i < BULK; i++)
		bulk[i] = (char)(i % 1000 == 999 ? '\n' : 'a' + (char)(i * 31 % 26));
	begin();
	setsockopt(stream.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	CHECK(tls_stream_accept(&stream, server, 0, &why) == RESULT_OK);
	CHECK(tls_connect(client, client_fd, "a.example", NULL, &session, &why) == RESULT_OK);
	CHECK(loop_watch(loop, &client_watch, client_fd, EPOLLIN | EPOLLOUT, send_bulk, &why) == RESULT_OK);
	loop_run(loop, &why);
	CHECK(bulk_sent == BULK && bulk_taken == ANSWER);
	for (i = 0; i < LINES; i++)
		wrong += memcmp(taken + i * 1004, "250 ", 4) || memcmp(taken + i * 1004 + 4, bulk + i * 1000, 1000);
	CHECK(wrong == 0);
	end();
	free(bulk);
	free(taken);
}

static void a_failed_handshake_ends_the_stream(void)
{
	begin();
	CHECK(tls_stream_accept(&stream, server, 0, &why) == RESULT_OK);
	CHECK(write(client_fd, "EHLO client.example\r\n", 21) == 21);
	loop_run(loop, &why);
	CHECK(stream_result == RESULT_PEER && why.text[0]);
	CHECK(stream_shutdown(&stream) == 0);
	end();
	begin();
	CHECK(tls_stream_accept(&stream, server, 0, &why) == RESULT_OK);
	shutdown(client_fd, SHUT_RDWR);
	loop_run(loop, &why);
	CHECK(stream_result == RESULT_PEER);
	end();
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	client_watch.fd = -1;
	CHECK(loop_make(&loop, &why) == RESULT_OK);
	CHECK(tls_server_make(&server, &why) == RESULT_OK && tls_client_make(false, &client, &why) == RESULT_OK);
	make_all();
	start_keyd();
	load(0, 4);
	UNIT_RUN(lines_pass_in_both_directions);
	UNIT_RUN(an_end_right_behind_data_is_noticed);
	UNIT_RUN(what_came_in_clear_does_not_survive);
	UNIT_RUN(bulk_passes_whole_with_small_buffers);
	UNIT_RUN(a_failed_handshake_ends_the_stream);
	kill(keyd_pid, SIGTERM);
	waitpid(keyd_pid, NULL, 0);
	tls_server_free(server);
	tls_client_free(client);
	loop_free(loop);
	return unit_end();
}
