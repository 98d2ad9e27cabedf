/* dawk queue list: a row a message, the first ones at once, however many there are. */
#include "command.h"
#include "queue_command.h"
#include "queue_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ROWS_AT_ONCE = 40 };	/* written as they come; later ones in blocks */

struct listing {
	const struct queue_directories *queue;
	const struct queue_filter *filter;
	bool is_json;
	stralloc *ids;			/* gathered in place of rows, unless NULL */
	struct view view;
	stralloc reason;
	uint64_t now_us, seen, shown, failed;
	struct why why;
};

static bool holds(const char *text, const char *part)
{
	return !part || (text && strcasestr(text, part));
}

static bool any_recipient_holds(const struct view *view, const char *part)
{
	if (!part)
		return true;
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++)
		if (!view->done.s[i] && strcasestr(view->envelope.recipients[i].address, part))
			return true;
	return false;
}

static uint64_t age_us(const struct listing *listing)
{
	const struct view *view = &listing->view;
	uint64_t arrived = view->envelope.arrived_us ? view->envelope.arrived_us : queue_id_time_us(view->id);
	return listing->now_us > arrived ? listing->now_us - arrived : 0;
}

static bool is_wanted(const struct listing *listing)
{
	const struct queue_filter *filter = listing->filter;
	const struct view *view = &listing->view;
	if (filter->places && !(filter->places & 1u << view->place))
		return false;
	return age_us(listing) >= filter->age_us && holds(view->envelope.from, filter->from) &&
	       any_recipient_holds(view, filter->to) && holds(listing->reason.s, filter->reason);
}

/* The last trouble, NUL-ended. */
static bool find_reason(struct listing *listing)
{
	const struct view *view = &listing->view;
	bool is_fine = true;
	listing->reason.len = 0;
	if (!view->is_readable)
		is_fine = text_append_string(&listing->reason, view->why.text);
	else if (view->has_last)
		is_fine = view_append_reason(&listing->reason, &view->last);
	return is_fine && text_append_nul(&listing->reason);
}

static const char *next_attempt(const struct listing *listing, char out[VIEW_WORD_MAX])
{
	const struct view *view = &listing->view;
	if (view->place == QUEUE_HOLD || view->place == QUEUE_CORRUPT)
		return "-";
	return view->due_us <= listing->now_us ? "now" : view_age(view->due_us - listing->now_us, out);
}

static const char *first_left(const struct view *view)
{
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++)
		if (!view->done.s[i])
			return view->envelope.recipients[i].address;
	return "-";
}

static void print_row(const struct listing *listing)
{
	const struct view *view = &listing->view;
	char age[VIEW_WORD_MAX], size[VIEW_WORD_MAX], next[VIEW_WORD_MAX];
	printf("%s %-8s %7s %6s %7s  <%s> -> ", view->id, view_place_word(view->place), view_age(age_us(listing), age),
	       view_size(view->bytes, size), next_attempt(listing, next), view->envelope.from ? view->envelope.from : "?");
	if (view->left)
		printf("<%s>", first_left(view));
	else
		fputs(view->is_readable ? "nobody" : "?", stdout);
	if (view->left > 1)
		printf(" and %u more", view->left - 1);
	if (listing->reason.len)
		printf("  (%.*s)", (int)listing->reason.len, listing->reason.s);
	putchar('\n');
}

static void print_json_text(const char *name, const char *value)
{
	printf(",\"%s\":", name);
	if (value)
		json_string(stdout, value, strlen(value));
	else
		fputs("null", stdout);
}

static void print_json_row(const struct listing *listing)
{
	const struct view *view = &listing->view;
	bool is_first = true;
	printf("%s{\"id\":\"%s\",\"place\":\"%s\",\"age_seconds\":%llu,\"size_bytes\":%llu", listing->shown ? ",\n" : "",
	       view->id, view_place_word(view->place), (unsigned long long)(age_us(listing) / 1000000), (unsigned long long)view->bytes);
	print_json_text("from", view->envelope.from);
	printf(",\"recipients_left\":%u,\"recipients\":[", view->left);
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++) {
		const char *address = view->envelope.recipients[i].address;
		if (view->done.s[i])
			continue;
		if (!is_first)
			putchar(',');
		json_string(stdout, address, strlen(address));
		is_first = false;
	}
	putchar(']');
	if (view->place == QUEUE_HOLD || view->place == QUEUE_CORRUPT)
		fputs(",\"next_attempt_seconds\":null", stdout);
	else
		printf(",\"next_attempt_seconds\":%llu", (unsigned long long)(view->due_us > listing->now_us ?
		       (view->due_us - listing->now_us) / 1000000 : 0));
	print_json_text("reason", listing->reason.len ? listing->reason.s : NULL);
	putchar('}');
}

static bool take(void *context, enum queue_place place, const char *id)
{
	struct listing *listing = context;
	struct why why = { 0 };
	enum result result = view_read(&listing->view, listing->queue, place, id, &why);
	if (result == RESULT_END)
		return true;
	listing->seen++;
	if (result != RESULT_OK || !find_reason(listing)) {
		listing->failed++;
		if (!*listing->why.text)
			listing->why = why;
		return true;
	}
	if (!is_wanted(listing))
		return true;
	if (listing->ids) {
		listing->shown++;
		return text_append(listing->ids, id, QUEUE_ID_LENGTH) && text_append(listing->ids, "", 1);
	}
	if (listing->is_json)
		print_json_row(listing);
	else
		print_row(listing);
	if (++listing->shown <= ROWS_AT_ONCE)
		fflush(stdout);
	return !ferror(stdout);
}

static void print_end(const struct listing *listing)
{
	if (listing->is_json)
		printf("%s]\n", listing->shown ? "\n" : "");
	else if (!listing->seen)
		printf("nothing waits\n");
	else if (listing->shown != listing->seen)
		printf("%llu of %llu messages\n", (unsigned long long)listing->shown, (unsigned long long)listing->seen);
	else
		printf("%llu message%s\n", (unsigned long long)listing->shown, listing->shown == 1 ? "" : "s");
}

enum result queue_match(const struct configuration *conf, const struct queue_filter *filter, struct queue_matches *matches, struct why *why)
{
	struct queue_directories queue;
	struct listing listing = { .queue = &queue, .filter = filter, .ids = &matches->ids, .now_us = time_real_us() };
	enum result result = view_open_queue(conf, &queue, why);
	if (result != RESULT_OK)
		return result;
	result = view_walk(&queue, take, &listing, why);
	view_close_queue(&queue);
	view_free(&listing.view);
	stralloc_free(&listing.reason);
	matches->count = matches->ids.len / (QUEUE_ID_LENGTH + 1);
	matches->seen = listing.seen;
	if (result == RESULT_OK && matches->count != listing.shown)
		return why_set(why, RESULT_RETRY, "out of memory for the messages that match");
	return result;
}

int queue_list(const struct configuration *conf, const struct queue_filter *filter, bool is_json)
{
	struct queue_directories queue;
	struct listing listing = { .queue = &queue, .filter = filter, .is_json = is_json, .now_us = time_real_us() };
	struct why why = { 0 };
	enum result result = view_open_queue(conf, &queue, &why);
	if (result != RESULT_OK)
		return command_fail("queue", why.errno_value == EACCES ? EX_NOPERM : EX_OSFILE, "%s", why.text);
	if (is_json)
		putchar('[');
	result = view_walk(&queue, take, &listing, &why);
	print_end(&listing);
	view_close_queue(&queue);
	view_free(&listing.view);
	stralloc_free(&listing.reason);
	if (result != RESULT_OK)
		return command_fail_why("queue", result, &why);
	if (listing.failed)
		return command_fail("queue", EX_IOERR, "%llu messages could not be read: %s", (unsigned long long)listing.failed, listing.why.text);
	return EX_OK;
}
