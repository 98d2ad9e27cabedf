/* link: queued/report.o */
/* Delivery status notifications, RFC 3464. */
#include "queued/report.h"
#include "unit.h"
#include <stdlib.h>

static struct envelope envelope;
static struct report_recipient recipients[2];
static struct report report;
static stralloc head, tail;
static bool is_8bit, needs_smtputf8;

static void prepare(void)
{
	envelope = (struct envelope){ .id = "1ezn3v0c4hk7x2m9q0ab", .arrived_us = 1795300000000000, .from = "bob@client.example", .content_length = 1000 };
	recipients[0] = (struct report_recipient){ .address = "alice@local.example", .event = STATE_FAILED, .status = "5.1.1", .host = "",
	                                           .words = "no such mailbox", .time_us = 1795300001000000 };
	recipients[1] = (struct report_recipient){ .address = "zoe@example.net", .as = "Zoe@Example.Net", .orcpt = "rfc822;zoe+2Bx@example.net",
	                                           .event = STATE_FAILED, .status = "5.7.1", .host = "mx.example.net",
	                                           .words = "550 5.7.1 we do not like you", .time_us = 1795300001000000 };
	report = (struct report){ .hostname = "mail.local.example", .id = "1ezn3v0c4hk7x2m9q0ac", .to = "bob@client.example", .envelope = &envelope,
	                          .now_us = 1795300002000000, .give_up_us = 1795732000000000, .recipients = recipients, .count = 2 };
}

static const char *build(void)
{
	CHECK(report_build(&report, &head, &tail, &is_8bit, &needs_smtputf8));
	text_append_nul(&head);
	text_append_nul(&tail);
	return head.s;
}

static int has(const char *text)
{
	int is_there = strstr(head.s, text) != NULL;

	if (!is_there)
		printf("# missing: %s\n", text);
	return is_there;
}

/* RFC 5321 2.3.8, RFC 5322 2.1.1: CRLF alone, lines of at most 998 bytes. */
static int lines_are_good(const char *text)
{
	size_t length = 0;

	for (; *text; text++) {
		if (*text == '\n' || (*text == '\r' && text[1] != '\n'))
			return 0;
		if (*text == '\r') {
			text++;
			length = 0;
		} else if (++length > 998) {
			return 0;
		}
	}
	return 1;
}

static void failure(void)
{
	prepare();
	build();
	CHECK(has("From: Mail Delivery System <MAILER-DAEMON@mail.local.example>\r\nTo: <bob@client.example>\r\n"));
	CHECK(has("\r\nAuto-Submitted: auto-replied\r\n") && has("\r\nMIME-Version: 1.0\r\n"));
	CHECK(has("Message-ID: <1ezn3v0c4hk7x2m9q0ac@mail.local.example>\r\n") && has("\r\nDate: "));
	CHECK(has("Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_1ezn3v0c4hk7x2m9q0ac\"\r\n"));
	CHECK(has("Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.local.example\r\nArrival-Date: "));
	CHECK(has("\r\n\r\nFinal-Recipient: rfc822; alice@local.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	          "Diagnostic-Code: X-dawk; no such mailbox\r\nLast-Attempt-Date: "));
	CHECK(has("\r\n\r\nOriginal-Recipient: rfc822; zoe+x@example.net\r\nFinal-Recipient: rfc822; zoe@example.net\r\nAction: failed\r\n"
	          "Status: 5.7.1\r\nRemote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 550 5.7.1 we do not like you\r\n"));
	CHECK(has("<alice@local.example>\r\n    no such mailbox\r\n") && has("<zoe@example.net> (given as <Zoe@Example.Net>)\r\n    mx.example.net said: 550 "));
	CHECK(!is_8bit && !needs_smtputf8 && lines_are_good(head.s) && lines_are_good(tail.s));
	CHECK(!has("Content-Transfer-Encoding"));
	CHECK_STRING(tail.s, "\r\n--=_1ezn3v0c4hk7x2m9q0ac--\r\n");
	CHECK(!strcmp(head.s + strlen(head.s) - strlen("Content-Type: text/rfc822-headers\r\n\r\n"), "Content-Type: text/rfc822-headers\r\n\r\n"));
}

static void other_kinds(void)
{
	prepare();
	report.count = 1;
	recipients[0].event = STATE_DEFERRED;
	recipients[0].status = "4.2.2";
	build();
	CHECK(has("Action: delayed\r\nStatus: 4.2.2\r\n") && has("\r\nWill-Retry-Until: ") && has("it is tried again, for 4 days more"));
	recipients[0].event = STATE_DELIVERED;
	recipients[0].status = "2.0.0";
	build();
	CHECK(has("Action: delivered\r\n") && !strstr(head.s, "Diagnostic-Code") && !strstr(head.s, "Will-Retry-Until"));
	recipients[0].event = STATE_RELAYED;
	build();
	CHECK(has("Action: relayed\r\n"));
	recipients[0].event = STATE_EXPANDED;
	build();
	CHECK(has("Action: expanded\r\n"));
	prepare();
	report.is_for_postmaster = true;
	report.to = "postmaster@local.example";
	envelope.from = "";
	build();
	CHECK(has("Subject: Undeliverable mail without a sender to tell\r\n") && has("It is 1ezn3v0c4hk7x2m9q0ab."));
}

static void envelope_id(void)
{
	prepare();
	envelope.envid = "QQ314159+2Bx+20y";
	build();
	CHECK(has("\r\nOriginal-Envelope-Id: QQ314159+x y\r\n"));
	envelope.envid = "bad+ZZ";
	build();
	CHECK(has("\r\nOriginal-Envelope-Id: bad+ZZ\r\n"));
	envelope.envid = "a+0D+0AX-Evil:+20yes";
	build();
	CHECK(!strstr(head.s, "\r\nX-Evil"));
}

/* What another host said is data: it can't end a line or a part. */
static void hostile_words(void)
{
	static char words[1001];

	prepare();
	recipients[0].words = "no\r\n\r\n--=_1ezn3v0c4hk7x2m9q0ac--\r\nSubject: x";
	build();
	CHECK(!strstr(head.s, "\r\n--=_1ezn3v0c4hk7x2m9q0ac--") && lines_are_good(head.s));
	memset(words, 'x', 1000);
	recipients[0].words = words;
	build();
	CHECK(lines_are_good(head.s));
	memset(words, ' ', 1000);
	build();
	CHECK(lines_are_good(head.s));
	recipients[0].words = "Benutzer gibt's nicht in Z\xc3\xbcrich";
	build();
	CHECK(is_8bit && has("Content-Transfer-Encoding: 8bit\r\n") && has("Diagnostic-Code: X-dawk; Benutzer gibt's nicht in Z??rich\r\n"));
}

/* RFC 6533 */
static void hostile_host(void)
{
	prepare();
	recipients[1].host = "mx.example.net\r\nX-Injected: yes";
	CHECK(lines_are_good(build()));
	CHECK(!strstr(head.s, "\r\nX-Injected"));
	CHECK(has("\r\nRemote-MTA: dns; mx.example.net??X-Injected:?yes\r\n"));
}

static void international(void)
{
	prepare();
	recipients[0].address = "j\xc3\xbcrg@local.example";
	build();
	CHECK(has("Content-Type: message/global-delivery-status\r\n") && has("Final-Recipient: utf-8; j\xc3\xbcrg@local.example\r\n"));
	CHECK(is_8bit && !needs_smtputf8);
	prepare();
	report.to = "j\xc3\xbcrg@client.example";
	envelope.needs_smtputf8 = true;
	report.third = REPORT_FULL;
	report.third_is_8bit = true;
	build();
	CHECK(needs_smtputf8 && has("Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
	CHECK(has("\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\nThis is a delivery report"));	/* RFC 2045 6.4: of the whole too */
}

/* RFC 3461 4.3 */
static void third_part(void)
{
	static const struct { bool full, headers, failure; enum body_type body; uint64_t length; enum report_third third; } rows[] = {
		{ false, false, true,  BODY_7BIT, 50000, REPORT_FULL },
		{ false, false, true,  BODY_7BIT, 50001, REPORT_HEADERS },
		{ true,  false, true,  BODY_7BIT, 50001, REPORT_FULL },
		{ true,  false, true,  BODY_7BIT, 1000000, REPORT_HEADERS },
		{ false, true,  true,  BODY_7BIT, 100, REPORT_HEADERS },
		{ false, false, false, BODY_7BIT, 100, REPORT_HEADERS },
		{ true,  false, false, BODY_7BIT, 100, REPORT_HEADERS },
		{ true,  false, true,  BODY_BINARYMIME, 100, REPORT_HEADERS },
		{ true,  false, true,  BODY_8BITMIME, 100, REPORT_FULL },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct envelope e = { .return_full = rows[i].full, .return_headers = rows[i].headers, .body = rows[i].body, .content_length = rows[i].length };
		CHECK(report_choose_third(&e, rows[i].failure, 1000000) == rows[i].third);
	}
}

int main(void)
{
	UNIT_RUN(failure);
	UNIT_RUN(other_kinds);
	UNIT_RUN(envelope_id);
	UNIT_RUN(hostile_words);
	UNIT_RUN(hostile_host);
	UNIT_RUN(international);
	UNIT_RUN(third_part);
	stralloc_free(&head);
	stralloc_free(&tail);
	return unit_end();
}
