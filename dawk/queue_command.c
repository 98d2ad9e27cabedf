/* dawk queue: what is asked, and who does it: the disk for looking, queued for acting. */
#include "queue_command.h"
#include "command.h"
#include "common/queue.h"
#include "common/text.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct queue_wish {
	struct queue_filter filter;
	bool is_json, has_filter, is_sure;
};

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "to", required_argument, NULL, 't' },
	{ "from", required_argument, NULL, 'f' },
	{ "age", required_argument, NULL, 'a' },
	{ "older", required_argument, NULL, 'a' },
	{ "reason", required_argument, NULL, 'r' },
	{ "yes", no_argument, NULL, 'y' },
	{ 0 }
};

/* "90s", "15m", "4h", "5d". */
static bool duration_parse(const char *text, uint64_t *microseconds)
{
	static const struct { char unit; uint64_t seconds; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t length = strlen(text);
	uint64_t number;
	if (length < 2 || length > 10 || !text_to_number(text, length - 1, &number))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (units[i].unit == text[length - 1]) {
			*microseconds = number * units[i].seconds * 1000000;
			return true;
		}
	}
	return false;
}

/* false: said. */
static bool take_options(struct queue_wish *wish, int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		wish->has_filter |= option != 'j' && option != 'y';
		switch (option) {
		case 'j': wish->is_json = true; break;
		case 'y': wish->is_sure = true; break;
		case 't': wish->filter.to = optarg; break;
		case 'f': wish->filter.from = optarg; break;
		case 'r': wish->filter.reason = optarg; break;
		case 'a':
			if (duration_parse(optarg, &wish->filter.age_us))
				break;
			command_usage("queue", "--older wants a time, 90s, 15m, 4h or 5d, not '%s'", optarg);
			return false;
		default:
			command_usage("queue", "an option is not known or lacks its value");
			return false;
		}
	}
	return true;
}

enum what { LIST, SHOW, ACT, SITES };
static const struct verb {
	const char *name;
	enum what what;
	int least, most;	/* arguments; -1: any number */
	const char *wants;
	unsigned places;	/* where a filter finds what it acts on; 0: it takes no filter */
	const char *becomes;
} verbs[] = {
	{ "list", LIST, 0, 0, "no argument but its options", ~0u, NULL },
	{ "show", SHOW, 1, 1, "one ID", 0, NULL },
	{ "retry", ACT, 1, -1, "IDs, a domain, or a filter", 1 << QUEUE_NEW | 1 << QUEUE_CUR, "tried" },
	{ "hold", ACT, 1, -1, "IDs or a filter", 1 << QUEUE_NEW | 1 << QUEUE_CUR, "held" },
	{ "release", ACT, 1, -1, "IDs or a filter", 1 << QUEUE_HOLD, "released" },
	{ "remove", ACT, 1, -1, "IDs or a filter", 1 << QUEUE_NEW | 1 << QUEUE_CUR | 1 << QUEUE_HOLD, "removed" },
	{ "flush", ACT, 0, 0, "no argument", 0, NULL },
	{ "sites", SITES, 0, 0, "no argument", 0, NULL },
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int act(const struct configuration *conf, const struct verb *verb, char *const *arguments, int count, struct queue_teller *teller)
{
	struct why why = { 0 };
	int code;
	enum result result = queue_control(conf, verb->name, arguments, count, teller, &code, &why);
	if (result == RESULT_END && verb->what == SITES)
		return command_fail("queue", EX_UNAVAILABLE, "queued does not run: only it knows its sites");
	if (result == RESULT_END)
		return queue_act_on_disk(conf, verb->name, arguments, count, teller);
	return result == RESULT_OK ? code : command_fail_why("queue", result, &why);
}

static int act_on_matches(const struct configuration *conf, const struct verb *verb, const struct queue_wish *wish,
                          const struct queue_matches *matches, struct queue_teller *teller)
{
	if (!matches->count)
		return queue_tell(teller, EX_DATAERR, "none of %zu messages match", matches->seen);
	if (!wish->is_sure)
		return queue_tell(teller, EX_OK, "%zu of %zu messages match; with --yes %s %s", matches->count, matches->seen,
		                  matches->count == 1 ? "it is" : "they are", verb->becomes);
	char **ids = calloc(matches->count, sizeof *ids);
	if (!ids)
		return command_fail("queue", EX_OSERR, "out of memory for %zu messages", matches->count);
	for (size_t i = 0; i < matches->count; i++)
		ids[i] = matches->ids.s + i * (QUEUE_ID_LENGTH + 1);
	int code = act(conf, verb, ids, (int)matches->count, teller);
	free(ids);
	return code;
}

/* An act on all that a filter finds: how many there are first, then with --yes. */
static int act_by_filter(const struct configuration *conf, const struct verb *verb, const struct queue_wish *wish, struct queue_teller *teller)
{
	struct queue_filter filter = wish->filter;
	struct queue_matches matches = { .count = 0 };
	struct why why = { 0 };
	filter.places = verb->places;
	enum result result = queue_match(conf, &filter, &matches, &why);
	int code = result == RESULT_OK ? act_on_matches(conf, verb, wish, &matches, teller) :
	           why.errno_value == EACCES ? command_fail("queue", EX_NOPERM, "%s", why.text) : command_fail_why("queue", result, &why);
	stralloc_free(&matches.ids);
	return code;
}

static int do_it(const struct configuration *conf, const struct verb *verb, const struct queue_wish *wish, int count, char **arguments)
{
	char *none[] = { "" };
	struct queue_teller teller;
	if (verb->what == LIST)
		return queue_list(conf, &wish->filter, wish->is_json);
	if (verb->what == SHOW)
		return queue_show(conf, arguments[0], wish->is_json);
	queue_teller_begin(&teller, wish->is_json);
	int code = wish->has_filter ? act_by_filter(conf, verb, wish, &teller) :
	           act(conf, verb, verb->most ? arguments : none, verb->most ? count : 1, &teller);
	queue_teller_end(&teller);
	return code;
}

int command_queue(struct configuration *conf, int argc, char **argv)
{
	struct queue_wish wish = { 0 };
	if (!take_options(&wish, argc, argv))
		return EX_USAGE;
	const struct verb *verb = find(optind < argc ? argv[optind] : "list");
	if (!verb)
		return command_usage("queue", "there is no `queue %s`", argv[optind]);
	int count = optind < argc ? argc - optind - 1 : 0;
	if (wish.has_filter && !verb->places)
		return command_usage("queue", "--to, --from, --older and --reason do not go with `%s`", verb->name);
	if (wish.has_filter && count)
		return command_usage("queue", "%s wants IDs or a filter, not both", verb->name);
	if (wish.is_sure && (!wish.has_filter || verb->what != ACT))
		return command_usage("queue", "--yes goes with a filter, for an act");
	if ((!wish.has_filter && count < verb->least) || (verb->most >= 0 && count > verb->most))
		return command_usage("queue", "%s wants %s", verb->name, verb->wants);
	return do_it(conf, verb, &wish, count, argv + argc - count);
}
