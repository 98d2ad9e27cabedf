/* What an address means: order of look-ups, extensions, expansion. */
#include "common/resolve.h"
#include "common/text.h"
#include "unit.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], tables[80], file[80];
static struct configuration *conf;
static struct table_directory *directory;
static struct resolver *resolver;

struct record { const char *key, *value; };

static const struct record users[] = {
	{ "alice@a.example", "1001:1002:/m/alice:50M" },
	{ "bob@a.example", "1001:1002:/m/bob.mbox:" },
	{ "john-smith@a.example", "1001:1002:/m/js:" },
	{ "plus+real@a.example", "1001:1002:/m/plus:" },
	{ "self@a.example", "1001:1002:/m/self:" },
	{ "postmaster@a.example", "1001:1002:/m/pm:" },
	{ "\"od d\"@a.example", "1001:1002:/m/odd:" },
	{ "owner-mixed@a.example", "1001:1002:/m/om:" },
	{ "damaged@a.example", "0:1002:/m/d:" },
};

static const struct record aliases[] = {
	{ "info@a.example", "1 -\nalice@a.example\n" },
	{ "self@a.example", "2 s\nself@a.example\nbob@a.example\n" },
	{ "root", "1 -\npostmaster@a.example\n" },
	{ "@b.example", "1 -\nalice@a.example\n" },
	{ "prog@a.example", "3 p\n|cat >x\n/var/box/\nbob@a.example\n" },
	{ "mixed@a.example", "4 -\ninfo@a.example\nalice@a.example\nAway@Remote.example\ngone@a.example\n" },
	{ "outer@a.example", "2 -\nmixed@a.example\nbob@a.example\n" },
	{ "owner-outer", "1 -\nbob@a.example\n" },
	{ "loop1@a.example", "1 -\nloop2@a.example\n" },
	{ "loop2@a.example", "1 -\nloop1@a.example\n" },
	{ "half@a.example", "2 -\nloop3@a.example\nbob@a.example\n" },
	{ "loop3@a.example", "1 -\nhalf@a.example\n" },
	{ "broken@a.example", "no count" },
};

static const struct record relay_recipients[] = {
	{ "relay.example", "" }, { "carol@relay.example", "" }, { "da-ve@relay.example", "" },
	{ "x.below.example", "" }, { "@x.below.example", "" },
};

static void put(struct table_writer *writer, const char *key, const char *value)
{
	struct why why;

	if (table_add(writer, key, strlen(key), value, strlen(value), &why) != RESULT_OK)
		CHECK(!"table_add");
}

static void put_generated(struct table_writer *writer)
{
	stralloc value = { 0 };
	char key[32], member[64];

	text_append_string(&value, "101 -\n");
	for (int i = 0; i <= EXPAND_MEMBERS_MAX; i++)
		text_append_format(&value, "m%d@remote.example\n", i);
	text_append_nul(&value);
	put(writer, "long@a.example", value.s);
	stralloc_free(&value);
	for (int i = 0; i < EXPAND_DEPTH_MAX + 1; i++) {
		snprintf(key, sizeof key, "deep%d@a.example", i);
		snprintf(member, sizeof member, "1 -\ndeep%d@a.example\n", i + 1);
		put(writer, key, member);
	}
}

static void make(const char *name, const struct record *records, size_t count, bool is_aliases)
{
	struct table_writer *writer;
	struct why why;

	CHECK(table_create(tables, name, 0644, &writer, &why) == RESULT_OK);
	for (size_t i = 0; i < count; i++)
		put(writer, records[i].key, records[i].value);
	if (is_aliases)
		put_generated(writer);
	CHECK(table_commit(writer, &why) == RESULT_OK);
}

static void start(const char *settings)
{
	struct why why;
	FILE *out = fopen(file, "w");

	fputs(settings, out);
	fclose(out);
	CHECK(configuration_load(file, &conf, &why) == RESULT_OK);
	CHECK(table_directory_open(tables, &directory, &why) == RESULT_OK);
	CHECK(resolver_make(conf, directory, &resolver, &why) == RESULT_OK);
}

static void stop(void)
{
	resolver_free(resolver);
	table_directory_close(directory);
	configuration_free(conf);
}

static struct meaning_of *meaning_of(const char *text)
{
	static struct meaning_of out;
	struct address address;
	struct why why;

	printf("# %s\n", text);
	CHECK(address_parse(text, strlen(text), &address, &why) == RESULT_OK);
	resolve(resolver, &address, &out, &why);
	return &out;
}

static void every_kind_of_address_has_its_meaning(void)
{
	static const struct { const char *address; enum meaning meaning; const char *key, *extension; } rows[] = {
		{ "alice@a.example", MEANS_MAILBOX, "alice@a.example", "" },
		{ "ALICE@A.Example", MEANS_MAILBOX, "alice@a.example", "" },
		{ "alice+lists@a.example", MEANS_MAILBOX, "alice@a.example", "lists" },
		{ "alice+one+two@a.example", MEANS_MAILBOX, "alice@a.example", "one+two" },
		{ "alice+@a.example", MEANS_MAILBOX, "alice@a.example", "" },
		{ "john-smith-x@a.example", MEANS_MAILBOX, "john-smith@a.example", "x" },
		{ "plus+real@a.example", MEANS_MAILBOX, "plus+real@a.example", "" },
		{ "plus+real+x@a.example", MEANS_MAILBOX, "plus+real@a.example", "x" },
		{ "\"od d\"@a.example", MEANS_MAILBOX, "\"od d\"@a.example", "" },
		{ "\"al ice+x\"@a.example", MEANS_UNKNOWN, "\"al ice+x\"@a.example", "" },
		{ "+x@a.example", MEANS_UNKNOWN, "+x@a.example", "" },
		{ "info@a.example", MEANS_ALIAS, "info@a.example", "" },
		{ "info+x@a.example", MEANS_ALIAS, "info@a.example", "x" },
		{ "root@a.example", MEANS_ALIAS, "root", "" },
		{ "root+x@b.example", MEANS_ALIAS, "root", "x" },
		{ "whoever@b.example", MEANS_ALIAS, "@b.example", "" },
		{ "whoever@a.example", MEANS_UNKNOWN, "whoever@a.example", "" },
		{ "whoever+x@a.example", MEANS_UNKNOWN, "whoever@a.example", "x" },
		{ "postmaster", MEANS_MAILBOX, "postmaster@a.example", "" },
		{ "Postmaster", MEANS_MAILBOX, "postmaster@a.example", "" },
		{ "x@relay.example", MEANS_RELAY, "x@relay.example", "" },
		{ "x@y.below.example", MEANS_RELAY, "x@y.below.example", "" },
		{ "x@remote.example", MEANS_REMOTE, "x@remote.example", "" },
		{ "alice%a.example@remote.example", MEANS_REMOTE, "alice%a.example@remote.example", "" },
		{ "x%remote.example@a.example", MEANS_UNKNOWN, "x%remote.example@a.example", "" },
		{ "alice@x.a.example", MEANS_REMOTE, "alice@x.a.example", "" },
		{ "damaged@a.example", MEANS_LATER, NULL, NULL },
		{ "broken@a.example", MEANS_LATER, NULL, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct meaning_of *out = meaning_of(rows[i].address);
		CHECK(out->meaning == rows[i].meaning);
		CHECK(!out->maybe_system);
		if (!rows[i].key)
			continue;
		CHECK_STRING(out->key, rows[i].key);
		CHECK_STRING(out->extension, rows[i].extension);
	}
}

static void a_mailbox_has_all_its_fields(void)
{
	const struct meaning_of *out = meaning_of("alice+x@a.example");

	CHECK(out->uid == 1001 && out->gid == 1002 && !out->is_mbox);
	CHECK_STRING(out->maildir, "/m/alice");
	CHECK_STRING(out->quota, "50M");
	CHECK(meaning_of("bob@a.example")->is_mbox);
}

static void an_alias_that_names_itself_brings_its_mailbox(void)
{
	const struct meaning_of *out = meaning_of("self@a.example");

	CHECK(out->meaning == MEANS_ALIAS && out->names_itself && out->count == 2 && out->uid == 1001);
	CHECK_STRING(out->maildir, "/m/self");
}

struct taken { char text[512]; unsigned count, limit; };

static bool take(void *context, const char *address, const char *owner)
{
	struct taken *taken = context;
	size_t length = strlen(taken->text);

	snprintf(taken->text + length, sizeof taken->text - length, "%s%s%s%s", length ? " " : "", address, owner ? "/" : "", owner ? owner : "");
	return ++taken->count < taken->limit;
}

static void expansion_takes_each_recipient_once(void)
{
	static const struct { const char *address, *taken; uint32_t members; enum result result; } rows[] = {
		{ "alice+x@a.example", "alice+x@a.example", 0, RESULT_OK },
		{ "Who@Remote.example", "Who@remote.example", 0, RESULT_OK },
		{ "info@a.example", "alice@a.example", 1, RESULT_OK },
		{ "root@b.example", "postmaster@a.example", 1, RESULT_OK },
		{ "nobody@a.example", "", 0, RESULT_END },
		{ "self@a.example", "self@a.example bob@a.example", 2, RESULT_OK },
		{ "self+x@a.example", "self+x@a.example bob@a.example", 2, RESULT_OK },
		{ "prog@a.example", "prog@a.example bob@a.example", 3, RESULT_OK },
		{ "mixed@a.example", "alice@a.example/owner-mixed@a.example Away@remote.example/owner-mixed@a.example "
		                     "gone@a.example/owner-mixed@a.example", 4, RESULT_OK },
		{ "outer@a.example", "alice@a.example/owner-mixed@a.example Away@remote.example/owner-mixed@a.example "
		                     "gone@a.example/owner-mixed@a.example bob@a.example/owner-outer@a.example", 2, RESULT_OK },
		{ "long@a.example", "long@a.example", EXPAND_MEMBERS_MAX + 1, RESULT_OK },
		{ "loop1@a.example", "", 1, RESULT_RETRY },
		{ "half@a.example", "bob@a.example", 2, RESULT_OK },
		{ "deep0@a.example", "", 1, RESULT_RETRY },
		{ "deep1@a.example", "deep21@a.example", 1, RESULT_OK },
		{ "broken@a.example", "", 0, RESULT_RETRY },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address address;
		struct why why = { 0 };
		struct taken taken = { .limit = 1000 };
		uint32_t members;
		printf("# %s\n", rows[i].address);
		CHECK(address_parse(rows[i].address, strlen(rows[i].address), &address, &why) == RESULT_OK);
		CHECK(resolve_expand(resolver, &address, take, &taken, &members, &why) == rows[i].result);
		CHECK_STRING(taken.text, rows[i].taken);
		CHECK(members == rows[i].members);
	}
}

static void expansion_ends_when_there_are_too_many(void)
{
	struct address address;
	struct why why;
	struct taken taken = { .limit = 2 };
	uint32_t members;

	address_parse("outer@a.example", 15, &address, &why);
	CHECK(resolve_expand(resolver, &address, take, &taken, &members, &why) == RESULT_RETRY);
	CHECK(taken.count == 2);
}

static void accounts_of_the_system_are_for_others_to_ask(void)
{
	struct address address;
	struct meaning_of out;
	struct why why;
	const struct meaning_of *unknown = meaning_of("someone+x@b.example");

	CHECK(unknown->meaning == MEANS_UNKNOWN && unknown->maybe_system);
	CHECK_STRING(unknown->key, "someone@b.example");
	address_parse("someone+x@b.example", 19, &address, &why);
	resolve_catch_all(resolver, &address, &out, &why);
	CHECK(out.meaning == MEANS_ALIAS);
	CHECK_STRING(out.key, "@b.example");
	CHECK(!meaning_of("someone@a.example")->maybe_system);	/* only in the first domain */
}

static void members_come_line_by_line(void)
{
	const char *text = "a@b\n\n|x y\nlast", *at = text, *end = text + strlen(text), *member;
	size_t length;

	CHECK(alias_next_member(&at, end, &member, &length) && length == 3 && memcmp(member, "a@b", 3) == 0);
	CHECK(alias_next_member(&at, end, &member, &length) && length == 4 && memcmp(member, "|x y", 4) == 0);
	CHECK(alias_next_member(&at, end, &member, &length) && length == 4 && memcmp(member, "last", 4) == 0);
	CHECK(!alias_next_member(&at, end, &member, &length));
}

static void root_has_no_mailbox(void)
{
	struct meaning_of out;
	char home[PATH_MAX];
	struct why why;

	CHECK(resolve_system_account("root", &out, home, &why) == RESULT_END);
	CHECK(resolve_system_account("no-such-account-here", &out, home, &why) == RESULT_END);
	CHECK(resolve_system_account("nobody", &out, home, &why) == RESULT_END);
}

static void clean(void)
{
	char path[128];

	unlink(file);
	snprintf(path, sizeof path, "%s/users.cdb", tables);
	unlink(path);
	snprintf(path, sizeof path, "%s/aliases.cdb", tables);
	unlink(path);
	snprintf(path, sizeof path, "%s/relay-recipients.cdb", tables);
	unlink(path);
	rmdir(tables);
	CHECK(rmdir(folder) == 0);
}

static void relay_recipients_are_those_of_the_domains_that_are_spoken_of(void)
{
	static const struct { const char *text; enum result result; } rows[] = {
		{ "carol@relay.example", RESULT_OK },
		{ "Carol+a-b@RELAY.example", RESULT_OK },
		{ "da-ve@relay.example", RESULT_OK },
		{ "da@relay.example", RESULT_END },
		{ "\"carol+x\"@relay.example", RESULT_OK },	/* the quotes are needless */
		{ "\"carol x\"@relay.example", RESULT_END },
		{ "anybody@x.below.example", RESULT_OK },
		{ "anybody@y.below.example", RESULT_OK },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct address address;
		struct why why;
		CHECK(address_parse(rows[i].text, strlen(rows[i].text), &address, &why) == RESULT_OK);
		printf("# %s\n", rows[i].text);
		CHECK(resolve_relay_recipient(resolver, &address, NULL, &why) == rows[i].result);
	}
}

int main(void)
{
	snprintf(folder, sizeof folder, "/tmp/unit-resolve-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(tables, sizeof tables, "%s/tables", folder);
	snprintf(file, sizeof file, "%s/dawk.conf", folder);
	CHECK(mkdir(tables, 0755) == 0);
	make("users", users, sizeof users / sizeof users[0], false);
	make("aliases", aliases, sizeof aliases / sizeof aliases[0], true);
	make("relay-recipients", relay_recipients, sizeof relay_recipients / sizeof relay_recipients[0], false);
	start("hostname = h.example\ndomains = a.example b.example\nrelay-domains = relay.example .below.example\nsubaddress = +-\n");
	UNIT_RUN(every_kind_of_address_has_its_meaning);
	UNIT_RUN(a_mailbox_has_all_its_fields);
	UNIT_RUN(an_alias_that_names_itself_brings_its_mailbox);
	UNIT_RUN(expansion_takes_each_recipient_once);
	UNIT_RUN(expansion_ends_when_there_are_too_many);
	UNIT_RUN(members_come_line_by_line);
	UNIT_RUN(root_has_no_mailbox);
	UNIT_RUN(relay_recipients_are_those_of_the_domains_that_are_spoken_of);
	stop();
	start("hostname = h.example\ndomains = b.example a.example\nsystem-users = yes\n");
	UNIT_RUN(accounts_of_the_system_are_for_others_to_ask);
	stop();
	clean();
	return unit_end();
}
