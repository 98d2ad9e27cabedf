#include "sent.h"

#include "stsd/facts_file.h"
#include "stsd/store.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { SENT_MAX = 64 << 20, SENT_KEPT_DAYS = 30 };

static enum result read_lines(struct sent *sent, struct why *why)
{
	char block[65536];
	ssize_t got;

	while ((got = read(sent->fd, block, sizeof block)) > 0)
		if (sent->lines.len > SENT_MAX || !text_append(&sent->lines, block, (size_t)got))
			return why_set(why, RESULT_RETRY, "no memory for what was sent");
	return got < 0 ? why_errno(why, RESULT_RETRY, "unable to read what was sent") : RESULT_OK;
}

/* What a crash cut off in the middle of a line: the next line starts afresh. */
static enum result end_line(struct sent *sent, struct why *why)
{
	if (!sent->lines.len || sent->lines.s[sent->lines.len - 1] == '\n')
		return RESULT_OK;
	return write(sent->fd, "\n", 1) == 1 && text_append(&sent->lines, "\n", 1) ? RESULT_OK :
	       why_errno(why, RESULT_RETRY, "unable to write down what was sent");
}

enum result sent_open(struct sent *sent, int folder, const char *day, struct why *why)
{
	char oldest[FACTS_DAY_SIZE];
	enum result result;

	facts_day(time_real_us() - SENT_KEPT_DAYS * UINT64_C(86400) * 1000000, oldest);
	store_remove_before(folder, oldest, facts_day_is_valid);
	*sent = (struct sent){ .fd = openat(folder, day, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600) };
	if (sent->fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open the list of what was sent");
	if (flock(sent->fd, LOCK_EX | LOCK_NB) < 0) {
		result = errno == EWOULDBLOCK ? why_set(why, RESULT_RETRY, "another run is sending the reports of %s", day) :
		         why_errno(why, RESULT_RETRY, "unable to lock the list of what was sent");
	} else {
		result = read_lines(sent, why);
		if (result == RESULT_OK)
			result = end_line(sent, why);
	}
	if (result != RESULT_OK)
		sent_close(sent);
	return result;
}

bool sent_holds(const struct sent *sent, const char *domain, const char *uri)
{
	const char *at = sent->lines.s, *end = at ? at + sent->lines.len : NULL;
	size_t domain_length = strlen(domain), uri_length = strlen(uri);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
		if ((size_t)(stop - at) == domain_length + 1 + uri_length && !memcmp(at, domain, domain_length) && at[domain_length] == ' ' &&
		    !memcmp(at + domain_length + 1, uri, uri_length))
			return true;
		at = stop + 1;
	}
	return false;
}

enum result sent_add(struct sent *sent, const char *domain, const char *uri, struct why *why)
{
	size_t before = sent->lines.len;

	if (!text_append_format(&sent->lines, "%s %s\n", domain, uri))
		return why_set(why, RESULT_RETRY, "no memory to write down what was sent");
	if (write(sent->fd, sent->lines.s + before, sent->lines.len - before) != (ssize_t)(sent->lines.len - before) || fsync(sent->fd) < 0)
		return why_errno(why, RESULT_RETRY, "unable to write down what was sent");
	return RESULT_OK;
}

void sent_close(struct sent *sent)
{
	if (sent->fd >= 0)
		close(sent->fd);
	stralloc_free(&sent->lines);
	*sent = (struct sent){ .fd = -1 };
}
