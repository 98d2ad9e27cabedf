/* A stream without a layer, at one end of a pair; the other end is the client. */
#include "common/stream.h"
#include "unit.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct loop *loop;
static struct why why;
static struct stream stream;
static int client, fails_with;

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	if (!fails_with || fd == client)
		return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
	errno = fails_with;
	return -1;
}

static void ready(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
}

static void join(void)
{
	int ends[2];

	fails_with = 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK(stream_open(&stream, loop, ends[0], ready, &why) == RESULT_OK);
	client = ends[1];
}

static void what_the_kernel_has_no_room_for_is_kept(void)
{
	static const int passing[] = { EAGAIN, ENOBUFS, ENOMEM };
	char got[16];
	size_t i;

	for (i = 0; i < sizeof passing / sizeof *passing; i++) {
		join();
		CHECK(stream_put(&stream, "250 ok\r\n", 8) == RESULT_OK);
		fails_with = passing[i];
		CHECK(stream_flush(&stream, &why) == RESULT_RETRY);
		CHECK(stream_put(&stream, "250 2\r\n", 7) == RESULT_OK);
		CHECK(stream_flush(&stream, &why) == RESULT_RETRY);
		fails_with = 0;
		CHECK(stream_flush(&stream, &why) == RESULT_OK);
		CHECK(recv(client, got, sizeof got, 0) == 15 && !memcmp(got, "250 ok\r\n250 2\r\n", 15));
		stream_close(&stream);
		close(client);
	}
}

/* The client must not wait for an answer that never goes out; what it said before can still be read. */
static void a_send_that_fails_ends_what_the_client_reads(void)
{
	char byte, *bytes;
	size_t length;

	join();
	CHECK(send(client, "last words\r\n", 12, 0) == 12);
	CHECK(stream_put(&stream, "250 ok\r\n", 8) == RESULT_OK);
	CHECK(recv(client, &byte, 1, 0) == -1 && errno == EAGAIN);
	fails_with = EPERM;
	CHECK(stream_flush(&stream, &why) == RESULT_PEER);
	CHECK(recv(client, &byte, 1, 0) == 0);
	CHECK(stream_read(&stream, &bytes, &length, &why) == RESULT_OK && length == 12 && !memcmp(bytes, "last words\r\n", 12));
	CHECK(stream_read(&stream, &bytes, &length, &why) == RESULT_RETRY);
	close(client);
	CHECK(stream_read(&stream, &bytes, &length, &why) == RESULT_END);
	stream_close(&stream);
}

static void what_a_client_does_not_read_has_a_cap(void)
{
	static char bytes[STREAM_OUT_MAX];
	size_t put;

	join();
	fails_with = EAGAIN;
	CHECK(stream_put(&stream, bytes, 1000) == RESULT_OK);
	CHECK(stream_flush(&stream, &why) == RESULT_RETRY);
	for (put = 1000; stream_put(&stream, bytes, 1000) == RESULT_OK; put += 1000)
		CHECK(stream_flush(&stream, &why) == RESULT_RETRY);
	CHECK(put <= STREAM_OUT_MAX && put > STREAM_OUT_MAX - 1000);
	stream_close(&stream);
	close(client);
}

static void what_the_parser_left_comes_again(void)
{
	static char much[STREAM_KEEP_MAX + 1];
	char *bytes;
	size_t length;

	join();
	CHECK(send(client, "one\r\ntw", 7, 0) == 7);
	CHECK(stream_read(&stream, &bytes, &length, &why) == RESULT_OK && length == 7);
	CHECK(stream_keep(&stream, bytes + 5, 2) == RESULT_OK);
	CHECK(stream_has_input(&stream));
	CHECK(stream_again(&stream, &bytes, &length) == RESULT_OK && length == 2 && !memcmp(bytes, "tw", 2));
	CHECK(send(client, "o\r\n", 3, 0) == 3);
	CHECK(stream_read(&stream, &bytes, &length, &why) == RESULT_OK && length == 5 && !memcmp(bytes, "two\r\n", 5));
	CHECK(stream_keep(&stream, bytes, 0) == RESULT_OK && !stream_has_input(&stream));
	CHECK(stream_keep(&stream, much, sizeof much) == RESULT_PEER);
	stream_close(&stream);
	stream_close(&stream);
	close(client);
}

int main(void)
{
	CHECK(loop_make(&loop, &why) == RESULT_OK);
	UNIT_RUN(what_the_kernel_has_no_room_for_is_kept);
	UNIT_RUN(a_send_that_fails_ends_what_the_client_reads);
	UNIT_RUN(what_a_client_does_not_read_has_a_cap);
	UNIT_RUN(what_the_parser_left_comes_again);
	loop_free(loop);
	return unit_end();
}
