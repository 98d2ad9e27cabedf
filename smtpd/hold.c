#include "hold.h"

#include "common/held.h"
#include "common/log.h"
#include "notice.h"
#include "usage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hold {
	struct commit commit;
	struct worker *worker;
	struct held held;
	char session[SESSION_ID_LENGTH + 1], client[NETWORK_TEXT_MAX];
	bool is_again;
};

static void hold_log(const struct hold *hold, const char *event, const struct why *why)
{
	struct log_line line;

	log_start(&line, event);
	log_text(&line, "session", hold->session);
	log_text(&line, "client", hold->client);
	log_text(&line, "user", hold->held.address);
	log_text(&line, "reason", hold->held.reason);
	if (why)
		log_why(&line, why);
	log_end(&line);
}

/* In the commit thread. */
static void hold_write(struct commit *commit)
{
	struct hold *hold = container_of(commit, struct hold, commit);

	commit->result = held_add(hold->worker->opening->held, &hold->held, &commit->why);
}

/* The file stands there, or does so for the moment: what failed then was the text, or the disk. */
static void hold_tell(struct hold *hold)
{
	struct worker *worker = hold->worker;
	bool is_ours = hold->commit.result != RESULT_END || hold->is_again;

	if (hold->commit.result != RESULT_RETRY && is_ours)
		hold_log(hold, "account-held", NULL);
	usage_note_held(worker->opening->usage, hold->held.address, loop_now_ms(worker->loop) / 1000);
	if (is_ours)
		notice_held(worker, hold->held.address, hold->held.reason);
}

static void hold_written(struct commit *commit)
{
	struct hold *hold = container_of(commit, struct hold, commit);
	struct worker *worker = hold->worker;

	if (commit->result == RESULT_RETRY)
		hold_log(hold, "unable-to-hold", &commit->why);
	if (commit->result != RESULT_RETRY || held_look(worker->opening->held, hold->held.address, NULL) == RESULT_OK)
		hold_tell(hold);
	free(hold);
	worker->orphan_count--;
	worker_note_gone(worker);
}

void hold_account(struct session *s, const char *reason, bool is_again)
{
	struct hold *hold = calloc(1, sizeof *hold);
	struct why why;

	if (!hold) {
		why_errno(&why, RESULT_RETRY, "hold %s", s->user);
		log_failure("unable-to-hold", &why);
		return;		/* the user's next MAIL tries again */
	}
	*hold = (struct hold){ .worker = s->worker, .is_again = is_again,
		.commit = { .fd = -1, .run = hold_write, .done = hold_written },
		.held = { .by = "smtpd", .since_us = time_real_us() } };
	snprintf(hold->held.address, sizeof hold->held.address, "%s", s->user);
	snprintf(hold->held.reason, sizeof hold->held.reason, "%s", reason);
	snprintf(hold->session, sizeof hold->session, "%s", s->id);
	ip_text(&s->ip, hold->client);
	s->worker->orphan_count++;
	commit_submit(s->worker->committer, &hold->commit);
}
