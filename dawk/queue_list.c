/* dawk queue list: a row a message, the first ones at once, however many there are. */
#include "command.h"
#include "queue_command.h"
#include "queue_view.h"
#include "readers.h"
#include "common/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_AT_ONCE = 40 };	/* written as they come; later ones in blocks */

struct listing {
	const struct queue_directories *queue;
	const struct queue_filter *filter;
	char to_ascii[ADDRESS_MAX + 1], from_ascii[ADDRESS_MAX + 1];	/* those of filter in A-labels; "": there are no U-labels in it */
	bool is_json;
	stralloc *ids;			/* gathered in place of rows, unless NULL */
	struct view view;
	stralloc reason;
	uint64_t now_us;
	struct readers_tally all;
};

static bool holds(const char *text, const char *part)
{
	return !part || (text && strcasestr(text, part));
}

/* The domain in either form: PART as it was given, and as ASCII. */
static bool address_holds(const char *address, const char *part, const char *ascii)
{
	char name[ADDRESS_MAX + 1];
	if (holds(address, part) || (*ascii && holds(address, ascii)))
		return true;
	return address && address_to_ascii(address, name) && holds(name, *ascii ? ascii : part);
}

static bool any_recipient_holds(const struct view *view, const char *part, const char *ascii)
{
	if (!part)
		return true;
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++)
		if (!view->done.s[i] && address_holds(view->envelope.recipients[i].address, part, ascii))
			return true;
	return false;
}

static bool any_recipient_is_at(const struct view *view, const char *domain)
{
	if (!domain)
		return true;
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++) {
		const char *at = view->done.s[i] ? NULL : strrchr(view->envelope.recipients[i].address, '@');
		if (at && domain_is(at + 1, strlen(at + 1), domain))
			return true;
	}
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
	return age_us(listing) >= filter->age_us && address_holds(view->envelope.from, filter->from, listing->from_ascii) &&
	       any_recipient_holds(view, filter->to, listing->to_ascii) && any_recipient_is_at(view, filter->domain) && holds(listing->reason.s, filter->reason);
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

static void print_row(const struct listing *listing, FILE *out)
{
	const struct view *view = &listing->view;
	char age[VIEW_WORD_MAX], size[VIEW_WORD_MAX], next[VIEW_WORD_MAX];
	print_shown(out, "%s %-8s %7s %6s %7s  <%s> -> ", view->id, view_place_word(view->place), view_age(age_us(listing), age),
	       view_size(view->bytes, size), next_attempt(listing, next), view->envelope.from ? view->envelope.from : "?");
	if (view->left)
		print_shown(out, "<%s>", first_left(view));
	else
		fputs(view->is_readable ? "nobody" : "?", out);
	if (view->left > 1)
		print_shown(out, " and %u more", view->left - 1);
	if (listing->reason.len)
		print_shown(out, "  (%.*s)", (int)listing->reason.len, listing->reason.s);
	fputc('\n', out);
}

static void print_json_text(FILE *out, const char *name, const char *value)
{
	fprintf(out, ",\"%s\":", name);
	if (value)
		json_string(out, value, strlen(value));
	else
		fputs("null", out);
}

static void print_json_row(const struct listing *listing, FILE *out)
{
	const struct view *view = &listing->view;
	bool is_first = true;
	fprintf(out, "{\"id\":\"%s\",\"place\":\"%s\",\"age_seconds\":%llu,\"size_bytes\":%llu", view->id,
	        view_place_word(view->place), (unsigned long long)(age_us(listing) / 1000000), (unsigned long long)view->bytes);
	print_json_text(out, "from", view->envelope.from);
	fprintf(out, ",\"recipients_left\":%u,\"recipients\":[", view->left);
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++) {
		const char *address = view->envelope.recipients[i].address;
		if (view->done.s[i])
			continue;
		if (!is_first)
			fputc(',', out);
		json_string(out, address, strlen(address));
		is_first = false;
	}
	fputc(']', out);
	if (view->place == QUEUE_HOLD || view->place == QUEUE_CORRUPT)
		fputs(",\"next_attempt_seconds\":null", out);
	else
		fprintf(out, ",\"next_attempt_seconds\":%llu", (unsigned long long)(view->due_us > listing->now_us ?
		        (view->due_us - listing->now_us) / 1000000 : 0));
	print_json_text(out, "reason", listing->reason.len ? listing->reason.s : NULL);
	fputc('}', out);
}

static void write_found(const struct listing *listing, const char *id, FILE *out, const struct readers_tally *tally)
{
	if (listing->ids)
		fwrite(id, 1, QUEUE_ID_LENGTH + 1, out);
	else if (!listing->is_json)
		print_row(listing, out);
	else if (tally->shown)
		fputs(",\n", out);
	if (!listing->ids && listing->is_json)
		print_json_row(listing, out);
}

/* In a reader. */
static void look(void *context, enum queue_place place, const char *id, FILE *out, struct readers_tally *tally)
{
	struct listing *listing = context;
	struct why why = { 0 };
	if (listing->filter->places && !(listing->filter->places & 1u << place)) {
		tally->seen++;
		return;
	}
	enum result result = view_read(&listing->view, listing->queue, place, id, &why);
	if (result == RESULT_END)
		return;
	tally->seen++;
	if (result != RESULT_OK || !find_reason(listing)) {
		if (!tally->failed++)
			tally->why = why;
	} else if (is_wanted(listing)) {
		write_found(listing, id, out, tally);
		tally->shown++;
	}
}

/* The caller's part: what a reader found. */
static bool take(void *context, const char *bytes, size_t length, const struct readers_tally *tally)
{
	struct listing *listing = context;
	struct readers_tally *all = &listing->all;
	all->seen += tally->seen;
	if (tally->failed && !all->failed)
		all->why = tally->why;
	all->failed += tally->failed;
	if (!tally->shown)
		return true;
	if (listing->ids) {
		all->shown += tally->shown;
		return text_append(listing->ids, bytes, length);
	}
	if (listing->is_json && all->shown)
		fputs(",\n", stdout);
	fwrite(bytes, 1, length, stdout);
	all->shown += tally->shown;
	if (all->shown <= ROWS_AT_ONCE)
		fflush(stdout);
	return !ferror(stdout);
}

static void take_ascii(const char *part, char *out)
{
	if (!part || !address_to_ascii(part, out))
		*out = 0;
}

static enum result look_through(struct listing *listing, struct why *why)
{
	const struct readers_job job = { look, take, listing };
	take_ascii(listing->filter->to, listing->to_ascii);
	take_ascii(listing->filter->from, listing->from_ascii);
	enum result result = readers_walk(listing->queue, &job, why);
	view_free(&listing->view);
	stralloc_free(&listing->reason);
	return result;
}

static void print_end(const struct listing *listing)
{
	const struct readers_tally *all = &listing->all;
	if (listing->is_json)
		printf("%s]\n", all->shown ? "\n" : "");
	else if (!all->seen)
		printf("nothing waits\n");
	else if (all->shown != all->seen)
		printf("%llu of %llu messages\n", (unsigned long long)all->shown, (unsigned long long)all->seen);
	else
		printf("%llu message%s\n", (unsigned long long)all->shown, all->shown == 1 ? "" : "s");
}

enum result queue_match(const struct configuration *conf, const struct queue_filter *filter, struct queue_matches *matches, struct why *why)
{
	struct queue_directories queue;
	struct listing listing = { .queue = &queue, .filter = filter, .ids = &matches->ids, .now_us = time_real_us() };
	enum result result = view_open_queue(conf, &queue, why);
	if (result != RESULT_OK)
		return result;
	result = look_through(&listing, why);
	view_close_queue(&queue);
	matches->count = matches->ids.len / (QUEUE_ID_LENGTH + 1);
	matches->seen = listing.all.seen;
	if (result == RESULT_OK && matches->count != listing.all.shown)
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
	result = look_through(&listing, &why);
	print_end(&listing);
	view_close_queue(&queue);
	if (result != RESULT_OK)
		return command_fail_why("queue", result, &why);
	if (listing.all.failed)
		return command_fail("queue", EX_IOERR, "%llu messages could not be read: %s", (unsigned long long)listing.all.failed, listing.all.why.text);
	return EX_OK;
}
