/* Whom a user may send as, and what: tables senders and limits. */
#include "common/senders.h"
#include "common/text.h"
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], tables[80], file[80];
static struct configuration *conf;
static struct table_directory *directory;
static struct resolver *resolver;
static struct senders *senders;

struct record { const char *key, *value; };

static const struct record users[] = {
	{ "alice@a.example", "1001:1002:/m/alice:" },
	{ "alice-smith@a.example", "1001:1002:/m/as:" },
	{ "bob@a.example", "1001:1002:/m/bob:" },
	{ "carol@b.example", "1001:1002:/m/carol:" },
	{ "self@a.example", "1001:1002:/m/self:" },
};

static const struct record aliases[] = {
	{ "info@a.example", "1 -\nalice@a.example\n" },
	{ "team@a.example", "2 -\ninfo@a.example\nbob@a.example\n" },
	{ "extended@a.example", "1 -\nalice+lists@a.example\n" },
	{ "self@a.example", "2 s\nself@a.example\nbob@a.example\n" },
	{ "away@a.example", "1 -\nalice@elsewhere.example\n" },
	{ "list@a.example", "2 -\nalice@a.example\nbob@a.example\n" },
	{ "owner-list@a.example", "1 -\nbob@a.example\n" },
	{ "program@a.example", "2 p\n|cat\nalice@a.example\n" },
	{ "postmaster", "1 -\nbob@a.example\n" },
	{ "@c.example", "1 -\ncarol@b.example\n" },
	{ "loop1@a.example", "1 -\nloop2@a.example\n" },
	{ "loop2@a.example", "1 -\nloop1@a.example\n" },
};

static const struct record given[] = {
	{ "alice@a.example", "sales@a.example\nalice@home.example\n@d.example\n" },
	{ "bob@a.example", "*\n" },
	{ "@b.example", "noreply@b.example\ncarol-x@elsewhere.example\n" },
};

static const struct record limits[] = {
	{ "alice@a.example", "messages-hour=7 strangers-hour=off" },
	{ "@b.example", "Recipients-Day=9" },
	{ "*", "messages-day=11" },
	{ "self@a.example", "nonsense" },
};

static void make(const char *name, const struct record *records, size_t count)
{
	struct table_writer *writer;
	struct why why;

	CHECK(table_create(tables, name, 0644, &writer, &why) == RESULT_OK);
	for (size_t i = 0; i < count; i++)
		if (table_add(writer, records[i].key, strlen(records[i].key), records[i].value, strlen(records[i].value), &why) != RESULT_OK)
			CHECK(!"table_add");
	CHECK(table_commit(writer, &why) == RESULT_OK);
}

static const struct { const char *user, *address; enum result result; enum sender_reason reason; } rows[] = {
	{ "alice@a.example", "alice@a.example", RESULT_OK, SENDER_SELF },
	{ "alice@a.example", "Alice+Lists@A.Example", RESULT_OK, SENDER_SELF },
	{ "alice@a.example", "alice-x@a.example", RESULT_OK, SENDER_SELF },
	{ "alice@a.example", "\"alice\"@a.example", RESULT_OK, SENDER_SELF },
	{ "alice@a.example", "alice-smith@a.example", RESULT_END, SENDER_NOT },	/* somebody else's */
	{ "alice@a.example", "alice@b.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "bob@a.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "alice", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "ceo@bank.example", RESULT_END, SENDER_NOT },
	/* aliases that lead to him, and lists, for which members do not speak */
	{ "alice@a.example", "info@a.example", RESULT_OK, SENDER_ALIAS },
	{ "alice@a.example", "info+x@a.example", RESULT_OK, SENDER_ALIAS },
	{ "alice@a.example", "team@a.example", RESULT_OK, SENDER_ALIAS },
	{ "alice@a.example", "extended@a.example", RESULT_OK, SENDER_ALIAS },
	{ "alice@a.example", "program@a.example", RESULT_OK, SENDER_ALIAS },
	{ "alice@a.example", "away@a.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "list@a.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "owner-list@a.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "nobody@a.example", RESULT_END, SENDER_NOT },
	{ "self@a.example", "self@a.example", RESULT_OK, SENDER_SELF },
	{ "self@a.example", "self+x@a.example", RESULT_OK, SENDER_SELF },
	{ "carol@b.example", "anything@c.example", RESULT_OK, SENDER_ALIAS },
	{ "alice@a.example", "anything@c.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "loop1@a.example", RESULT_RETRY, SENDER_ALIAS },
	/* the table */
	{ "alice@a.example", "Alice@Home.Example", RESULT_OK, SENDER_TABLE },
	{ "alice@a.example", "alice+x@home.example", RESULT_END, SENDER_NOT },
	{ "alice@a.example", "sales@a.example", RESULT_OK, SENDER_TABLE },
	{ "alice@a.example", "any.body@d.example", RESULT_OK, SENDER_TABLE },
	{ "alice@a.example", "any.body@x.d.example", RESULT_END, SENDER_NOT },
	{ "bob@a.example", "ceo@bank.example", RESULT_OK, SENDER_TABLE },
	{ "bob@a.example", "alice@a.example", RESULT_OK, SENDER_TABLE },
	{ "carol@b.example", "noreply@b.example", RESULT_OK, SENDER_TABLE },
	{ "alice@a.example", "noreply@b.example", RESULT_END, SENDER_NOT },
};

static void a_user_sends_as_himself_his_aliases_and_what_the_table_gives(void)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address address;
		enum sender_reason reason;
		struct why why = { .errno_value = 0 };

		CHECK(address_parse(rows[i].address, strlen(rows[i].address), &address, &why) == RESULT_OK);
		printf("# %s as %s\n", rows[i].user, rows[i].address);
		CHECK(senders_judge(senders, rows[i].user, &address, &reason, &why) == rows[i].result);
		CHECK(reason == rows[i].reason);
	}
}

static void the_most_particular_limits_count(void)
{
	uint32_t found[USER_LIMITS];
	struct why why;

	CHECK(senders_limits(senders, "alice@a.example", found, &why) == RESULT_OK);
	CHECK(found[USER_MESSAGES_HOUR] == 7 && found[USER_STRANGERS_HOUR] == 0 && found[USER_MESSAGES_DAY] == 1000);
	CHECK(senders_limits(senders, "carol@b.example", found, &why) == RESULT_OK);
	CHECK(found[USER_RECIPIENTS_DAY] == 9 && found[USER_MESSAGES_HOUR] == 5);
	CHECK(senders_limits(senders, "bob@a.example", found, &why) == RESULT_OK);
	CHECK(found[USER_MESSAGES_DAY] == 11 && found[USER_NETWORKS_HOUR] == 12 && found[USER_REFUSALS_HOUR] == 0);
	CHECK(senders_limits(senders, "self@a.example", found, &why) == RESULT_RETRY);
}

static void words_of_limits_are_read_or_refused(void)
{
	static const struct { const char *words; bool is_right; } words[] = {
		{ "messages-hour=1", true }, { "  messages-hour=10000000\trefusals-hour=OFF ", true }, { "", true },
		{ "messages-hour=0", false }, { "messages-hour=10000001", false }, { "networks-hour=31", true }, { "networks-hour=32", false },
		{ "messages-hour", false }, { "messages-hour=", false }, { "messages-hour=-1", false }, { "messages=5", false }, { "=5", false },
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		uint32_t found[USER_LIMITS] = { 0 };
		struct why why = { .errno_value = 0 };
		CHECK((user_limits_read(words[i].words, strlen(words[i].words), found, &why) == RESULT_OK) == words[i].is_right);
		CHECK(words[i].is_right == !*why.text);
	}
}

int main(void)
{
	static const char *const names[] = { "users", "aliases", "senders", "limits" };
	struct why why = { .errno_value = 0 };
	FILE *out;

	snprintf(folder, sizeof folder, "/tmp/unit-senders-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(tables, sizeof tables, "%s/tables", folder);
	snprintf(file, sizeof file, "%s/dawk.conf", folder);
	CHECK(mkdir(tables, 0755) == 0);
	make("users", users, sizeof users / sizeof *users);
	make("aliases", aliases, sizeof aliases / sizeof *aliases);
	make("senders", given, sizeof given / sizeof *given);
	make("limits", limits, sizeof limits / sizeof *limits);
	out = fopen(file, "w");
	fputs("hostname = h.example\ndomains = a.example b.example c.example\nsubaddress = +-\n"
	      "user-messages-hour = 5\nuser-refusals-hour = off\n", out);
	fclose(out);
	CHECK(configuration_load(file, &conf, &why) == RESULT_OK);
	CHECK(table_directory_open(tables, &directory, &why) == RESULT_OK);
	CHECK(resolver_make(conf, directory, &resolver, &why) == RESULT_OK);
	CHECK(senders_make(conf, directory, resolver, &senders, &why) == RESULT_OK);
	UNIT_RUN(a_user_sends_as_himself_his_aliases_and_what_the_table_gives);
	UNIT_RUN(the_most_particular_limits_count);
	UNIT_RUN(words_of_limits_are_read_or_refused);
	senders_free(senders);
	resolver_free(resolver);
	table_directory_close(directory);
	configuration_free(conf);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[128];
		snprintf(path, sizeof path, "%s/%s.cdb", tables, names[i]);
		unlink(path);
	}
	unlink(file);
	rmdir(tables);
	CHECK(rmdir(folder) == 0);
	return unit_end();
}
