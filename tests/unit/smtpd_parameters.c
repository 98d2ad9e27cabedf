/* link: smtpd/parameters.o smtpd/reply.o */
/* The arguments of MAIL and RCPT, RFC 5321 4.1.1.2, 4.1.1.3, RFC 1870, 3461, 6152, 6531. */
#include "smtpd/parameters.h"
#include "unit.h"

static const struct {
	const char *in;
	enum reply reply;
	const char *from;
} mails[] = {
	{ "FROM:<bob@example.org>", SAY_OK, "bob@example.org" },
	{ "FROM:<>", SAY_OK, "" },
	{ "from: test@sample.com", SAY_OK, "test@sample.com" },
	{ "From :\t<bob@EXAMPLE.org>", SAY_OK, "bob@example.org" },
	{ "FROM:<@relay.example:fred@somewhere.example>", SAY_OK, "fred@somewhere.example" },
	{ "FROM:<@a.example,@b.example:fred@somewhere.example> SIZE=10", SAY_OK, "fred@somewhere.example" },
	{ "FROM:<bob@example.org> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=abc", SAY_OK, "bob@example.org" },
	{ "FROM:<bob@example.org>  size=1 body=7bit ", SAY_OK, "bob@example.org" },
	{ "FROM:<b\xc3\xb6@example.org> SMTPUTF8", SAY_OK, "b\xc3\xb6@example.org" },
	{ "FROM:<b\xc3\xb6@example.org>", SAY_NEEDS_SMTPUTF8, NULL },
	{ "<bob@example.org>", SAY_SYNTAX, NULL },
	{ "", SAY_SYNTAX, NULL },
	{ "FROM", SAY_SYNTAX, NULL },
	{ "FROM:", SAY_BAD_SENDER, NULL },
	{ "FROM:<bob@example.org", SAY_BAD_SENDER, NULL },
	{ "FROM:<bob@exa mple.org>", SAY_BAD_SENDER, NULL },
	{ "FROM:<bob@example.org>SIZE=1", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> SIZE=", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> SIZE", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> SIZE=-1", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> SIZE=99999999999999999999", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> BODY=BINARYMIME", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> BODY=", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> SMTPUTF8=1", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> REQUIRETLS", SAY_OK, "bob@example.org" },
	{ "FROM:<bob@example.org> REQUIRETLS=1", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> RET=ALL", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> RET=FULL RET=HDRS", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> ENVID=a+0Ab", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> ENVID=a+b", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> ENVID=", SAY_SYNTAX, NULL },
	{ "FROM:<bob@example.org> FOO=bar", SAY_PARAMETER_UNKNOWN, NULL },
	{ "FROM:<bob@example.org> AUTH=<>", SAY_OK, "bob@example.org" },
	{ "FROM:<bob@example.org> MT-PRIORITY=3", SAY_PARAMETER_UNKNOWN, NULL },
	{ "FROM:<bob@example.org> =1", SAY_PARAMETER_UNKNOWN, NULL },
};

static const struct {
	const char *in;
	bool is_utf8;
	enum reply reply;
	unsigned notify;
	const char *orcpt;
} rcpts[] = {
	{ "TO:<alice@example.org>", false, SAY_OK, 0, "" },
	{ "to: alice@example.org", false, SAY_OK, 0, "" },
	{ "TO:<Postmaster>", false, SAY_OK, 0, "" },
	{ "TO:<a@b.example> NOTIFY=NEVER", false, SAY_OK, NOTIFY_NEVER, "" },
	{ "TO:<a@b.example> NOTIFY=SUCCESS,FAILURE,delay", false, SAY_OK, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, "" },
	{ "TO:<a@b.example> ORCPT=rfc822;a+2Bb@c.example", false, SAY_OK, 0, "rfc822;a+2Bb@c.example" },
	{ "TO:<a@b.example> ORCPT=utf-8;\xc3\xb6@c.example", true, SAY_OK, 0, "utf-8;\xc3\xb6@c.example" },
	{ "TO:<a@b.example> ORCPT=utf-8;\xc3\xb6@c.example", false, SAY_NEEDS_SMTPUTF8, 0, NULL },
	{ "TO:<\xc3\xb6@b.example>", true, SAY_OK, 0, "" },
	{ "TO:<\xc3\xb6@b.example>", false, SAY_NEEDS_SMTPUTF8, 0, NULL },
	{ "TO:<>", false, SAY_BAD_RECIPIENT, 0, NULL },
	{ "TO:", false, SAY_BAD_RECIPIENT, 0, NULL },
	{ "FROM:<a@b.example>", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> NOTIFY=", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> NOTIFY=NEVER,DELAY", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> NOTIFY=DELAY,DELAY", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> NOTIFY=DELAY,", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> NOTIFY=DELAY NOTIFY=FAILURE", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> ORCPT=a@c.example", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> ORCPT=rfc822;", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> ORCPT=;a", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> ORCPT=rfc822;a+ZZ", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> ORCPT=rfc822;a+0D+0Ab", false, SAY_SYNTAX, 0, NULL },
	{ "TO:<a@b.example> SIZE=1", false, SAY_PARAMETER_UNKNOWN, 0, NULL },
};

static void mail_takes_what_the_rfcs_allow_and_old_ways(void)
{
	struct mail_parameters mail;
	struct why words;

	for (size_t i = 0; i < sizeof mails / sizeof *mails; i++) {
		enum reply reply = parameters_of_mail(mails[i].in, strlen(mails[i].in), &mail, &words);
		if (reply != mails[i].reply)
			printf("# \"%s\" got reply %d\n", mails[i].in, reply_code(reply));
		CHECK(reply == mails[i].reply);
		if (mails[i].from)
			CHECK_STRING(mail.from.text, mails[i].from);
	}
}

static void rcpt_takes_what_the_rfcs_allow(void)
{
	struct rcpt_parameters rcpt;
	struct why words;

	for (size_t i = 0; i < sizeof rcpts / sizeof *rcpts; i++) {
		enum reply reply = parameters_of_rcpt(rcpts[i].in, strlen(rcpts[i].in), rcpts[i].is_utf8, &rcpt, &words);
		if (reply != rcpts[i].reply)
			printf("# \"%s\" got reply %d\n", rcpts[i].in, reply_code(reply));
		CHECK(reply == rcpts[i].reply);
		if (!rcpts[i].orcpt)
			continue;
		CHECK(rcpt.notify == rcpts[i].notify);
		CHECK_STRING(rcpt.orcpt, rcpts[i].orcpt);
	}
}

static void mail_parameters_are_kept(void)
{
	static const char line[] = "FROM:<a@b.example> SIZE=123 BODY=8BITMIME RET=FULL ENVID=q+2Br";
	struct mail_parameters mail;
	struct why words;

	CHECK(parameters_of_mail(line, strlen(line), &mail, &words) == SAY_OK);
	CHECK(mail.size_bytes == 123 && mail.body == BODY_8BITMIME && mail.return_full && !mail.return_headers);
	CHECK_STRING(mail.envid, "q+2Br");
}

int main(void)
{
	UNIT_RUN(mail_takes_what_the_rfcs_allow_and_old_ways);
	UNIT_RUN(rcpt_takes_what_the_rfcs_allow);
	UNIT_RUN(mail_parameters_are_kept);
	return unit_end();
}
