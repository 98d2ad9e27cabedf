/* dawk queue show: one message's envelope, its history, and what the other side said. */
#include "command.h"
#include "queue_command.h"
#include "queue_view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS = 15 };
struct field { const char *name, *value; };

/* The texts of an envelope in the order in which they are shown; NULL where there is none. */
static void fill_fields(const struct envelope *e, struct field fields[FIELDS])
{
	static const char *const bodies[] = { "7BIT", "8BITMIME", "BINARYMIME" };
	const struct field rows[FIELDS] = {
		{ "from", e->from }, { "authenticated", e->authenticated }, { "client", e->client },
		{ "client-name", e->client_name }, { "helo", e->helo }, { "protocol", e->protocol },
		{ "session", e->session }, { "parent", e->parent }, { "envid", e->envid },
		{ "return", e->return_full ? "FULL" : e->return_headers ? "HDRS" : NULL },
		{ "body", bodies[e->body] }, { "smtputf8", e->needs_smtputf8 ? "yes" : NULL },
		{ "requiretls", e->requires_tls ? "yes" : NULL }, { "tls-optional", e->tls_is_optional ? "yes" : NULL },
		{ "report", e->is_report ? "yes" : NULL },
	};
	memcpy(fields, rows, sizeof rows);
}

static const char *recipient_state(const struct view *view, uint32_t i)
{
	return view->envelope.recipients[i].is_expanded ? "expanded" : view->done.s[i] ? "done" : "waits";
}

static void print_recipients(const struct view *view)
{
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++) {
		const struct envelope_recipient *r = &view->envelope.recipients[i];
		print_shown(stdout, "recipient      %u <%s> %s", i, r->address, recipient_state(view, i));
		if (r->as && strcmp(r->as, r->address))
			print_shown(stdout, ", given as <%s>", r->as);
		if (r->orcpt)
			print_shown(stdout, ", orcpt %s", r->orcpt);
		if (r->owner)
			print_shown(stdout, ", reports to <%s>", r->owner);
		putchar('\n');
	}
}

static void print_history(const struct view *view)
{
	const char *at = view->state.s, *end = at + view->state.len;
	struct state_line line;
	char when[VIEW_WORD_MAX];
	while (at && state_next_line(&at, end, &line)) {
		if (line.event == STATE_SITES)
			continue;
		print_shown(stdout, "%s  %u %s", view_time(line.time_us, when), line.index, state_event_names[line.event]);
		if (*line.status)
			print_shown(stdout, " %s", line.status);
		if (*line.id)
			print_shown(stdout, " %s", line.id);
		if (line.host_length)
			print_shown(stdout, " %.*s:", (int)line.host_length, line.host);
		print_shown(stdout, " %.*s\n", (int)line.words_length, line.words_length ? line.words : "");
	}
}

static void print_text(const struct view *view)
{
	struct field fields[FIELDS];
	char word[VIEW_WORD_MAX];
	uint64_t now = time_real_us();
	print_shown(stdout, "id             %s\nplace          %s\n", view->id, view_place_word(view->place));
	if (!view->is_readable) {
		print_shown(stdout, "unreadable     %s\n", view->why.text);
		return;
	}
	print_shown(stdout, "arrived        %s\n", view_time(view->envelope.arrived_us, word));
	print_shown(stdout, "size           %llu bytes\n", (unsigned long long)view->bytes);
	if (view->place == QUEUE_NEW || view->place == QUEUE_CUR)
		print_shown(stdout, "next attempt   %s\n", view->due_us <= now ? "now" : view_time(view->due_us, word));
	fill_fields(&view->envelope, fields);
	for (int i = 0; i < FIELDS; i++)
		if (fields[i].value)
			print_shown(stdout, i ? "%-14s %s\n" : "%-14s <%s>\n", fields[i].name, fields[i].value);
	print_recipients(view);
	if (view->state.len)
		print_shown(stdout, "\nhistory (recipient, event, status, host: words)\n");
	print_history(view);
}

static void print_json_field(const char *name, const char *value, size_t length)
{
	printf(",\"%s\":", name);
	json_string(stdout, value, length);
}

static void print_json_recipients(const struct view *view)
{
	printf(",\"recipients\":[");
	for (uint32_t i = 0; i < view->envelope.recipient_count; i++) {
		const struct envelope_recipient *r = &view->envelope.recipients[i];
		printf("%s{\"state\":\"%s\"", i ? "," : "", recipient_state(view, i));
		print_json_field("address", r->address, strlen(r->address));
		if (r->as)
			print_json_field("as", r->as, strlen(r->as));
		if (r->orcpt)
			print_json_field("orcpt", r->orcpt, strlen(r->orcpt));
		if (r->owner)
			print_json_field("owner", r->owner, strlen(r->owner));
		putchar('}');
	}
	putchar(']');
}

static void print_json_history(const struct view *view)
{
	const char *at = view->state.s, *end = at + view->state.len, *comma = "";
	struct state_line line;
	char when[VIEW_WORD_MAX];
	printf(",\"history\":[");
	while (at && state_next_line(&at, end, &line)) {
		if (line.event == STATE_SITES)
			continue;
		printf("%s{\"recipient\":%u,\"event\":\"%s\",\"time\":\"%s\"", comma, line.index,
		       state_event_names[line.event], view_time(line.time_us, when));
		if (*line.status)
			print_json_field("status", line.status, strlen(line.status));
		if (*line.id)
			print_json_field("id", line.id, strlen(line.id));
		if (line.host_length)
			print_json_field("host", line.host, line.host_length);
		if (line.words_length)
			print_json_field("words", line.words, line.words_length);
		putchar('}');
		comma = ",";
	}
	putchar(']');
}

static void print_json(const struct view *view)
{
	struct field fields[FIELDS];
	char word[VIEW_WORD_MAX];
	printf("{\"id\":\"%s\",\"place\":\"%s\",\"size_bytes\":%llu", view->id, view_place_word(view->place), (unsigned long long)view->bytes);
	if (view->is_readable) {
		printf(",\"arrived\":\"%s\"", view_time(view->envelope.arrived_us, word));
		fill_fields(&view->envelope, fields);
		for (int i = 0; i < FIELDS; i++)
			if (fields[i].value)
				print_json_field(fields[i].name, fields[i].value, strlen(fields[i].value));
		if (view->due_us && (view->place == QUEUE_NEW || view->place == QUEUE_CUR))
			printf(",\"next_attempt\":\"%s\"", view_time(view->due_us, word));
		print_json_recipients(view);
	} else {
		print_json_field("unreadable", view->why.text, strlen(view->why.text));
	}
	print_json_history(view);
	printf("}\n");
}

int queue_show(const struct configuration *conf, const char *id, bool is_json)
{
	struct queue_directories queue;
	struct view view = { 0 };
	enum queue_place place;
	struct why why = { 0 };
	if (view_open_queue(conf, &queue, &why) != RESULT_OK)
		return command_fail("queue", why.errno_value == EACCES ? EX_NOPERM : EX_OSFILE, "%s", why.text);
	enum result result = RESULT_END;
	if (queue_id_is_valid(id, strlen(id)) && view_find_place(&queue, id, &place))
		result = view_read(&view, &queue, place, id, &why);
	if (result == RESULT_OK && is_json)
		print_json(&view);
	else if (result == RESULT_OK)
		print_text(&view);
	view_free(&view);
	view_close_queue(&queue);
	if (result == RESULT_END)
		return command_fail("queue", EX_DATAERR, "there is no message %s in the queue; `dawk queue list` shows all", id);
	return result == RESULT_OK ? EX_OK : command_fail_why("queue", result, &why);
}
