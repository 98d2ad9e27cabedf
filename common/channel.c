#include "channel.h"

#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CHANNEL_READ_SIZE = 65536,
	CHANNEL_IN_DESCRIPTORS_MAX = 4 * CHANNEL_DESCRIPTORS_MAX,
};
#define NO_DEADLINE UINT64_MAX

/* Channels with something to send; one list a process, as there is one loop. */
static struct channel *dirty;
static struct loop *dirty_loop;
static struct turn_end dirty_turn_end;

enum result channel_pair(int ends[2], struct why *why)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return why_errno(why, RESULT_RETRY, "unable to make a socketpair");
	return RESULT_OK;
}

/* ---- descriptors that wait beside their frames ---- */

static bool descriptors_add(struct channel_descriptors *queue, int fd, size_t frame_start)
{
	if (queue->count == queue->size) {
		size_t size = queue->size ? queue->size * 2 : 16;
		struct channel_descriptor *items = realloc(queue->items, size * sizeof *items);
		if (!items)
			return false;
		queue->items = items;
		queue->size = size;
	}
	queue->items[queue->count++] = (struct channel_descriptor){ fd, frame_start };
	return true;
}

/* Takes COUNT off the front; CLOSE_THEM says whether they are ours to close. */
static void descriptors_drop(struct channel_descriptors *queue, size_t count, bool close_them)
{
	size_t i;

	for (i = 0; close_them && i < count; i++)
		close(queue->items[i].fd);
	queue->count -= count;
	if (queue->count)
		memmove(queue->items, queue->items + count, queue->count * sizeof *queue->items);
}

static void descriptors_free(struct channel_descriptors *queue)
{
	descriptors_drop(queue, queue->count, true);
	free(queue->items);
	*queue = (struct channel_descriptors){ 0 };
}

/* ---- opening and closing ---- */

static void flush_dirty(struct turn_end *turn_end)
{
	(void)turn_end;
	while (dirty) {
		struct channel *channel = dirty;
		struct why why = { 0 };
		dirty = channel->next_dirty;
		channel->is_dirty = false;
		channel_flush(channel, &why);
	}
}

static void mark_dirty(struct channel *channel)
{
	if (channel->is_dirty || !channel->loop)
		return;
	channel->is_dirty = true;
	channel->next_dirty = dirty;
	dirty = channel;
}

static void unmark_dirty(struct channel *channel)
{
	struct channel **at;

	if (!channel->is_dirty)
		return;
	for (at = &dirty; *at && *at != channel; at = &(*at)->next_dirty)
		;
	if (*at)
		*at = channel->next_dirty;
	channel->is_dirty = false;
}

/* A fork makes a loop of its own: what the parent had to send is the parent's. */
static void use_loop(struct loop *loop)
{
	if (dirty_loop == loop)
		return;
	dirty_loop = loop;
	dirty = NULL;
	dirty_turn_end.run = flush_dirty;
	loop_at_turn_end(loop, &dirty_turn_end);
}

void channel_close(struct channel *channel)
{
	if (channel->fd < 0)
		return;
	unmark_dirty(channel);
	if (channel->loop)
		loop_unwatch(channel->loop, &channel->watch);
	close(channel->fd);
	channel->fd = -1;
	stralloc_free(&channel->in);
	stralloc_free(&channel->out);
	stralloc_init(&channel->in);
	stralloc_init(&channel->out);
	descriptors_free(&channel->in_descriptors);
	descriptors_free(&channel->out_descriptors);
}

static void lose(struct channel *channel, const struct why *why)
{
	channel_close(channel);
	channel->lost(channel, why);
}

/* ---- sending ---- */

size_t channel_waiting(const struct channel *channel)
{
	return channel->out.len - channel->out_sent;
}

enum result channel_send(struct channel *channel, enum wire_type type, const struct wire_value *values,
                         int descriptor, struct why *why)
{
	size_t start = channel->out.len;
	enum result result = RESULT_OK;

	if (channel->fd < 0)
		result = why_set(why, RESULT_RETRY, "the pipe is closed");
	else if (channel_waiting(channel) >= CHANNEL_OUT_MAX)
		result = why_set(why, RESULT_RETRY, "the pipe is full");
	if (result == RESULT_OK)
		result = frame_append(&channel->out, type, values, descriptor >= 0, why);
	if (result == RESULT_OK && descriptor >= 0 && !descriptors_add(&channel->out_descriptors, descriptor, start)) {
		channel->out.len = start;
		result = why_set(why, RESULT_RETRY, "no memory for a descriptor");
	}
	if (result != RESULT_OK) {
		if (descriptor >= 0)
			close(descriptor);
		return result;
	}
	mark_dirty(channel);
	return RESULT_OK;
}

/* How many descriptors and bytes go into the next sendmsg: a frame never goes out before its descriptor. */
static size_t next_piece(const struct channel *channel, size_t *descriptor_count)
{
	const struct channel_descriptors *queue = &channel->out_descriptors;

	*descriptor_count = queue->count;
	if (queue->count <= CHANNEL_DESCRIPTORS_MAX)
		return channel->out.len - channel->out_sent;
	*descriptor_count = CHANNEL_DESCRIPTORS_MAX;
	return queue->items[CHANNEL_DESCRIPTORS_MAX].frame_start - channel->out_sent;
}

static ssize_t send_piece(struct channel *channel, size_t length, size_t descriptor_count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS_MAX)];
	} control;
	struct iovec piece = { channel->out.s + channel->out_sent, length };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	size_t i;

	if (descriptor_count) {
		int *fds = (int *)(void *)CMSG_DATA(&control.header);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
		memset(&control, 0, message.msg_controllen);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
		for (i = 0; i < descriptor_count; i++)
			fds[i] = channel->out_descriptors.items[i].fd;
	}
	return sendmsg(channel->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Keeps the offsets of waiting descriptors right when sent bytes are dropped. */
static void drop_sent(struct channel *channel)
{
	size_t i, rest = channel->out.len - channel->out_sent;

	if (channel->out_sent < CHANNEL_READ_SIZE && rest)
		return;
	memmove(channel->out.s, channel->out.s + channel->out_sent, rest);
	for (i = 0; i < channel->out_descriptors.count; i++)
		channel->out_descriptors.items[i].frame_start -= channel->out_sent;
	channel->out.len = rest;
	channel->out_sent = 0;
}

/* The kernel is short of room for the bytes or for descriptors under way; the reader frees it. */
static bool is_passing(int error)
{
	return error == EAGAIN || error == ETOOMANYREFS || error == ENOBUFS || error == ENOMEM;
}

static int ms_left(uint64_t deadline)
{
	uint64_t now = time_monotonic_ms();

	if (deadline == NO_DEADLINE)
		return -1;
	return now < deadline ? (int)(deadline - now) : 0;
}

/* Of what else the kernel is short it tells no end. false: time is up. */
static bool wait_for_room(const struct channel *channel, int error, uint64_t deadline)
{
	struct pollfd room = { .fd = channel->fd, .events = POLLOUT };
	int left = ms_left(deadline);

	if (left != 0)
		poll(&room, error == EAGAIN, error == EAGAIN ? left : 10);
	return left != 0;
}

/* RESULT_RETRY: time is up, without a loop alone. */
static enum result flush_until(struct channel *channel, uint64_t deadline, struct why *why)
{
	if (channel->fd < 0)
		return why_set(why, RESULT_PEER, "the pipe is closed");
	while (channel->out_sent < channel->out.len) {
		size_t count, length = next_piece(channel, &count);
		ssize_t n = send_piece(channel, length, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && is_passing(errno) && channel->loop) {
			loop_rewatch(channel->loop, &channel->watch, EPOLLIN | EPOLLOUT);
			return RESULT_OK;	/* goes on when there is room */
		}
		if (n < 0 && is_passing(errno)) {
			if (!wait_for_room(channel, errno, deadline))
				return RESULT_RETRY;
			continue;
		}
		if (n < 0) {
			why_errno(why, RESULT_PEER, "unable to write to a pipe");
			shutdown(channel->fd, SHUT_RDWR);	/* whatever failed: both ends hear of it, a loop by EPOLLHUP */
			return RESULT_PEER;
		}
		descriptors_drop(&channel->out_descriptors, count, true);
		channel->out_sent += (size_t)n;
		drop_sent(channel);
	}
	if (channel->loop)
		loop_rewatch(channel->loop, &channel->watch, EPOLLIN);
	return RESULT_OK;
}

enum result channel_flush(struct channel *channel, struct why *why)
{
	return flush_until(channel, NO_DEADLINE, why);
}

/* ---- receiving ---- */

static enum result take_descriptors(struct channel *channel, struct msghdr *message, struct why *why)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		const int *fds = (const int *)(const void *)CMSG_DATA(header);
		size_t i, count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < count; i++)
			if (!descriptors_add(&channel->in_descriptors, fds[i], 0))
				close(fds[i]);
	}
	if (message->msg_flags & MSG_CTRUNC)
		return why_set(why, RESULT_PEER, "descriptors were lost on a pipe: too many files are open");
	if (channel->in_descriptors.count > CHANNEL_IN_DESCRIPTORS_MAX)
		return why_set(why, RESULT_PEER, "a peer sends descriptors without frames");
	return RESULT_OK;
}

static enum result read_more(struct channel *channel, struct why *why)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * 253)];	/* SCM_MAX_FD */
	} control;
	struct iovec piece;
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n;

	if (channel->in_used) {
		channel->in.len -= channel->in_used;
		memmove(channel->in.s, channel->in.s + channel->in_used, channel->in.len);
		channel->in_used = 0;
	}
	if (!stralloc_readyplus(&channel->in, CHANNEL_READ_SIZE))
		return why_set(why, RESULT_PEER, "no memory for a pipe");
	piece = (struct iovec){ channel->in.s + channel->in.len, CHANNEL_READ_SIZE };
	do
		n = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? RESULT_RETRY : why_errno(why, RESULT_PEER, "unable to read from a pipe");
	if (n == 0)
		return RESULT_END;
	channel->in.len += (size_t)n;
	return take_descriptors(channel, &message, why);
}

static enum result next_frame(struct channel *channel, struct frame *f, struct why *why)
{
	enum result result;
	size_t used;

	if (channel->in_used == channel->in.len)
		return RESULT_RETRY;
	result = frame_take(channel->in.s + channel->in_used, channel->in.len - channel->in_used, f, &used, why);
	if (result != RESULT_OK)
		return result;
	channel->in_used += used;
	if (!f->has_descriptor)
		return RESULT_OK;
	if (!channel->in_descriptors.count)
		return why_set(why, RESULT_PEER, "a %s frame came without its descriptor", frame_name(f->type));
	f->descriptor = channel->in_descriptors.items[0].fd;
	descriptors_drop(&channel->in_descriptors, 1, false);
	return RESULT_OK;
}

static void channel_ready(struct watch *watch, uint32_t events)
{
	struct channel *channel = container_of(watch, struct channel, watch);
	struct why why = { 0 };
	enum result result;
	struct frame f;

	if (events & EPOLLOUT)
		channel_flush(channel, &why);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	why = (struct why){ 0 };
	result = read_more(channel, &why);
	if (result == RESULT_RETRY)
		return;
	while (result == RESULT_OK && channel->fd >= 0) {
		result = next_frame(channel, &f, &why);
		if (result == RESULT_OK)
			channel->frame(channel, &f);
	}
	if (channel->fd < 0 || result == RESULT_RETRY)
		return;
	if (result == RESULT_END)
		why = (struct why){ 0 };
	lose(channel, &why);
}

enum result channel_open(struct channel *channel, struct loop *loop, int fd,
                         void (*frame)(struct channel *, struct frame *),
                         void (*lost)(struct channel *, const struct why *), struct why *why)
{
	enum result result;

	*channel = (struct channel){ .fd = fd, .loop = loop, .frame = frame, .lost = lost };
	channel->watch.fd = -1;
	if (!loop)
		return RESULT_OK;
	use_loop(loop);
	if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
		result = why_errno(why, RESULT_PEER, "unable to use a pipe");
	} else {
		result = loop_watch(loop, &channel->watch, fd, EPOLLIN, channel_ready, why);
	}
	if (result != RESULT_OK)
		channel_close(channel);
	return result;
}

enum result channel_wait(struct channel *channel, struct frame *f, int timeout_ms, struct why *why)
{
	uint64_t deadline = timeout_ms < 0 ? NO_DEADLINE : time_monotonic_ms() + (uint64_t)timeout_ms;

	if (channel_waiting(channel) && flush_until(channel, deadline, why) == RESULT_PEER)
		return RESULT_PEER;
	for (;;) {
		struct pollfd waiting = { .fd = channel->fd, .events = POLLIN };
		enum result result = next_frame(channel, f, why);
		int left;

		if (result != RESULT_RETRY)
			return result;
		result = read_more(channel, why);
		if (result == RESULT_OK)
			continue;
		if (result != RESULT_RETRY)
			return result;
		left = ms_left(deadline);
		if (left == 0)
			return RESULT_RETRY;
		if (poll(&waiting, 1, left) < 0 && errno != EINTR)
			return why_errno(why, RESULT_PEER, "unable to wait for a pipe");
	}
}
