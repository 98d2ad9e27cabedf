/* dawk queue: what is asked, and who does it: the disk for looking, queued for acting. */
#include "queue_command.h"
#include "command.h"
#include "common/text.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct queue_wish {
	struct queue_filter filter;
	bool is_json, has_filter;
};

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "to", required_argument, NULL, 't' },
	{ "from", required_argument, NULL, 'f' },
	{ "age", required_argument, NULL, 'a' },
	{ "reason", required_argument, NULL, 'r' },
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
		wish->has_filter |= option != 'j';
		switch (option) {
		case 'j': wish->is_json = true; break;
		case 't': wish->filter.to = optarg; break;
		case 'f': wish->filter.from = optarg; break;
		case 'r': wish->filter.reason = optarg; break;
		case 'a':
			if (duration_parse(optarg, &wish->filter.age_us))
				break;
			command_usage("queue", "--age wants a time, 90s, 15m, 4h or 5d, not '%s'", optarg);
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
} verbs[] = {
	{ "list", LIST, 0, 0, "no argument but its options" },
	{ "show", SHOW, 1, 1, "one ID" },
	{ "retry", ACT, 1, -1, "IDs or a domain" },
	{ "hold", ACT, 1, -1, "IDs" },
	{ "release", ACT, 1, -1, "IDs" },
	{ "remove", ACT, 1, -1, "IDs" },
	{ "flush", ACT, 0, 0, "no argument" },
	{ "sites", SITES, 0, 0, "no argument" },
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

static int do_it(const struct configuration *conf, const struct verb *verb, const struct queue_wish *wish, int count, char **arguments)
{
	char *none[] = { "" };
	struct queue_teller teller;
	if (verb->what == LIST)
		return queue_list(conf, &wish->filter, wish->is_json);
	if (verb->what == SHOW)
		return queue_show(conf, arguments[0], wish->is_json);
	queue_teller_begin(&teller, wish->is_json);
	int code = act(conf, verb, verb->most ? arguments : none, verb->most ? count : 1, &teller);
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
	if (count < verb->least || (verb->most >= 0 && count > verb->most))
		return command_usage("queue", "%s wants %s", verb->name, verb->wants);
	if (wish.has_filter && verb->what != LIST)
		return command_usage("queue", "--to, --from, --age and --reason go with `list` alone");
	return do_it(conf, verb, &wish, count, argv + argc - count);
}
