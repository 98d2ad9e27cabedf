/* link: tlsrpt/signer.o tlsrpt/sender.o dawk/helper.o dawk/say.o */
/* A keyd that dies at once, as it is not there; what it is told meanwhile. */
#include "tlsrpt/signer.h"
#include "unit.h"
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sent_before;		/* so many messages go out before it is gone */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct pollfd gone = { .fd = fd };

	if (sent_before-- > 0)
		return (ssize_t)message->msg_iov->iov_len;
	CHECK(poll(&gone, 1, -1) == 1 && gone.revents & POLLHUP);
	return syscall(SYS_sendmsg, fd, message, flags);
}

static void start(int messages, const char *words)
{
	char key[] = "/tmp/dawk-unit-XXXXXX";
	int fd = mkstemp(key);
	struct configuration conf = { .file = "/dev/null", .tls_report_key = key, .tls_report_selector = "s" };
	struct sender sender = { .domain = "a.example" };
	struct signer signer;
	struct why why = { 0 };

	sent_before = messages;
	CHECK(fd >= 0 && signer_start(&signer, &conf, &sender, &why) == RESULT_RETRY);
	CHECK_STRING(why.text, words);
	unlink(key);
	close(fd);
}

static void a_keyd_that_is_gone_is_a_failure_that_passes(void)
{
	start(0, "keyd has ended");
	start(1, "keyd has ended");
	start(2, "keyd has ended");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	UNIT_RUN(a_keyd_that_is_gone_is_a_failure_that_passes);
	return unit_end();
}
