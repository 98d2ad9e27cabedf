#include "queue_view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const enum queue_place places[] = { QUEUE_NEW, QUEUE_CUR, QUEUE_HOLD, QUEUE_CORRUPT };
enum { PLACES = sizeof places / sizeof *places };

enum result view_open_queue(const struct configuration *conf, struct queue_directories *queue, struct why *why)
{
	enum result result = queue_open(conf->queue, 1 << QUEUE_NEW | 1 << QUEUE_CUR | 1 << QUEUE_STATE | 1 << QUEUE_HOLD | 1 << QUEUE_CORRUPT,
	                                queue, why);
	if (result != RESULT_OK && why->errno_value == EACCES)
		snprintf(why->text, sizeof why->text, "the queue %.150s is root's to see", conf->queue);
	return result;
}

void view_close_queue(struct queue_directories *queue)
{
	for (int i = 0; i < QUEUE_PLACES; i++)
		if (queue->place[i] >= 0)
			close(queue->place[i]);
	if (queue->root >= 0)
		close(queue->root);
}

void view_free(struct view *view)
{
	envelope_free(&view->envelope);
	stralloc_free(&view->state);
	stralloc_free(&view->done);
}

/* A state is appended to while we read; its lines are whole, or passed over. */
static enum result read_state(struct view *view, const struct queue_directories *queue, struct why *why)
{
	view->state.len = 0;
	view->due_us = 0;
	int fd = queue_open_file(queue->place[QUEUE_STATE], view->id);
	if (fd < 0)
		return errno == ENOENT ? RESULT_OK : why_errno(why, RESULT_RETRY, "unable to open the state of %s", view->id);
	enum result result = state_read(fd, &view->state, &view->due_us, why);
	close(fd);
	return result;
}

static void note_trouble(struct view *view, const struct state_line *line)
{
	if (line->event != STATE_DEFERRED && line->event != STATE_FAILED)
		return;
	view->last = *line;
	view->has_last = true;
}

enum result view_read_trouble(struct view *view, const struct queue_directories *queue, const char *id, struct why *why)
{
	struct state_line line;
	memcpy(view->id, id, QUEUE_ID_LENGTH + 1);
	view->has_last = false;
	enum result result = read_state(view, queue, why);
	const char *at = view->state.s, *end = at + view->state.len;
	while (result == RESULT_OK && at && state_next_line(&at, end, &line))
		note_trouble(view, &line);
	return result;
}

static enum result weigh_state(struct view *view, struct why *why)
{
	uint32_t count = view->envelope.recipient_count;
	const char *at = view->state.s, *end = at + view->state.len;
	struct state_line line;
	if (!stralloc_ready(&view->done, count + 1))
		return why_set(why, RESULT_RETRY, "out of memory");
	memset(view->done.s, 0, count + 1);
	view->done.len = count;
	for (uint32_t i = 0; i < count; i++)
		view->done.s[i] = view->envelope.recipients[i].is_expanded;
	view->has_last = false;
	while (at && state_next_line(&at, end, &line)) {
		note_trouble(view, &line);
		/* the last result counts: a failure is taken back where a report to the postmaster is held */
		if (line.event != STATE_SITES && line.event <= STATE_FAILED && line.index < count)
			view->done.s[line.index] = state_is_final(line.event);
	}
	view->left = 0;
	for (uint32_t i = 0; i < count; i++)
		view->left += !view->done.s[i];
	return RESULT_OK;
}

enum result view_read(struct view *view, const struct queue_directories *queue, enum queue_place place, const char *id, struct why *why)
{
	struct stat status;
	envelope_free(&view->envelope);
	view->place = place;
	memcpy(view->id, id, QUEUE_ID_LENGTH);
	view->id[QUEUE_ID_LENGTH] = 0;
	int fd = queue_open_file(queue->place[place], view->id);
	if (fd < 0 && errno == ENOENT)
		return RESULT_END;
	if (fd < 0)
		return why_errno(why, RESULT_RETRY, "unable to open %s/%s", queue_place_names[place], view->id);
	view->is_readable = envelope_read(fd, &view->envelope, &view->why) == RESULT_OK;
	if (view->is_readable)
		view->bytes = view->envelope.content_length;
	else
		view->bytes = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	close(fd);
	enum result result = read_state(view, queue, why);
	return result == RESULT_OK ? weigh_state(view, why) : result;
}

bool view_find_place(const struct queue_directories *queue, const char *id, enum queue_place *place)
{
	struct stat status;
	/* twice: it may move on from new to cur while we look */
	for (int i = 0; i < 2 * PLACES; i++) {
		*place = places[i % PLACES];
		if (fstatat(queue->place[*place], id, &status, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	}
	return false;
}

struct name { enum queue_place place; char id[QUEUE_ID_LENGTH + 1]; };

struct walk {
	struct name *names;	/* VIEW_SORT_MAX of them at most, kept back for sorting */
	size_t count;
	bool is_streaming, is_over;
	bool (*each)(void *context, enum queue_place place, const char *id);
	void *context;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->id, ((const struct name *)b)->id);
}

static void hand_out(struct walk *walk)
{
	for (size_t i = 0; i < walk->count && !walk->is_over; i++)
		walk->is_over = !walk->each(walk->context, walk->names[i].place, walk->names[i].id);
	walk->count = 0;
}

static void take_name(struct walk *walk, enum queue_place place, const char *id)
{
	if (!walk->is_streaming && walk->count == VIEW_SORT_MAX) {
		walk->is_streaming = true;
		hand_out(walk);
	}
	if (walk->is_over)
		return;
	if (walk->is_streaming) {
		walk->is_over = !walk->each(walk->context, place, id);
		return;
	}
	struct name *name = &walk->names[walk->count++];
	name->place = place;
	memcpy(name->id, id, QUEUE_ID_LENGTH + 1);
}

static enum result walk_place(struct walk *walk, const struct queue_directories *queue, enum queue_place place, struct why *why)
{
	struct dirent *entry;
	int fd = openat(queue->place[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		why_errno(why, RESULT_RETRY, "unable to list %s", queue_place_names[place]);
		if (fd >= 0)
			close(fd);
		return RESULT_RETRY;
	}
	while (!walk->is_over && (entry = readdir(directory)))
		if (queue_id_is_valid(entry->d_name, strlen(entry->d_name)))
			take_name(walk, place, entry->d_name);
	closedir(directory);
	return RESULT_OK;
}

enum result view_walk(const struct queue_directories *queue, bool (*each)(void *context, enum queue_place place, const char *id),
                      void *context, struct why *why)
{
	struct walk walk = { .each = each, .context = context };
	enum result result = RESULT_OK;
	walk.names = calloc(VIEW_SORT_MAX, sizeof *walk.names);
	if (!walk.names)
		return why_set(why, RESULT_RETRY, "out of memory");
	for (int i = 0; i < PLACES && result == RESULT_OK; i++)
		result = walk_place(&walk, queue, places[i], why);
	if (!walk.is_streaming)
		qsort(walk.names, walk.count, sizeof *walk.names, compare);
	hand_out(&walk);
	free(walk.names);
	return result;
}

const char *view_place_word(enum queue_place place)
{
	switch (place) {
	case QUEUE_NEW:     return "new";
	case QUEUE_CUR:     return "deferred";
	case QUEUE_HOLD:    return "held";
	case QUEUE_CORRUPT: return "corrupt";
	default:            return queue_place_names[place];
	}
}

const char *view_age(uint64_t microseconds, char out[VIEW_WORD_MAX])
{
	unsigned long long seconds = microseconds / 1000000, minutes = seconds / 60, hours = minutes / 60;
	if (seconds < 60)
		snprintf(out, VIEW_WORD_MAX, "%llus", seconds);
	else if (minutes < 60)
		snprintf(out, VIEW_WORD_MAX, "%llum", minutes);
	else if (hours < 24)
		snprintf(out, VIEW_WORD_MAX, "%lluh%llum", hours, minutes % 60);
	else
		snprintf(out, VIEW_WORD_MAX, "%llud%lluh", hours / 24, hours % 24);
	return out;
}

const char *view_size(uint64_t bytes, char out[VIEW_WORD_MAX])
{
	static const char units[] = "kMGT";
	double size = (double)bytes;
	int unit = -1;
	while (size >= 1000 && unit < 3) {
		size /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(out, VIEW_WORD_MAX, "%llu", (unsigned long long)bytes);
	else
		snprintf(out, VIEW_WORD_MAX, size < 10 ? "%.1f%c" : "%.0f%c", size, units[unit]);
	return out;
}

const char *view_time(uint64_t real_us, char out[VIEW_WORD_MAX])
{
	time_t seconds = (time_t)(real_us / 1000000);
	struct tm when;
	if (!gmtime_r(&seconds, &when) || !strftime(out, VIEW_WORD_MAX, "%Y-%m-%dT%H:%M:%SZ", &when))
		snprintf(out, VIEW_WORD_MAX, "-");
	return out;
}

bool view_append_reason(stralloc *out, const struct state_line *line)
{
	return text_append_string(out, line->status) && text_append(out, " ", 1) &&
	       text_append(out, line->host, line->host_length) && (!line->host_length || text_append(out, ": ", 2)) &&
	       text_append(out, line->words, line->words_length);
}
