/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  When to tell how far a long call is, and how long it will take.
 *
 * A call that may take long tells its caller by a NOTICE how far it is, each
 * time that tenancy.progress_interval has passed.  The messages are their
 * callers': a sentence put together of parts could not be translated.  Others
 * see the last one in pg_stat_activity, in place of the query, where the view
 * tenancy.progress looks.  When the call ends, the query is back.
 *
 * Rows are counted far below who knows what is done with them, so there is one
 * tally for the process.  It is a worker's, whose NOTICEs go to its caller.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "guc.h"
#include "pgstat.h"
#include "progress.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"

static TenancyTally tally;
static TenancyTallyLine tally_line = NULL;	/* NULL: nothing is counted */
static bool is_shown = false;	/* a line in place of the session's query */

void
tenancy_progress_start(TenancyProgress *progress)
{
	progress->started_at = progress->reported_at = GetCurrentTimestamp();
}

/* Is it time for a line?  Then the caller tells one. */
bool
tenancy_progress_is_due(TenancyProgress *progress)
{
	TimestampTz now = GetCurrentTimestamp();

	if (tenancy_guc_progress_interval == 0 ||
		!TimestampDifferenceExceeds(progress->reported_at, now, tenancy_guc_progress_interval))
		return false;
	progress->reported_at = now;
	return true;
}

/*
 * Tell the line.  What else is under way has no place in it: the context of a COPY
 * quotes rows.
 */
void
tenancy_progress_tell(char *line)
{
	ErrorContextCallback *context = error_context_stack;
	char	   *activity = psprintf("tenancy: %s", line);

	error_context_stack = NULL;
	ereport(NOTICE,
			(errmsg_internal("%s", line)));
	error_context_stack = context;
	pgstat_report_activity(STATE_RUNNING, activity);
	is_shown = true;
	pfree(activity);
	pfree(line);
}

/* The call is over: show the query again, which a worker does not have. */
void
tenancy_progress_end(void)
{
	if (is_shown && debug_query_string != NULL)
		pgstat_report_activity(STATE_RUNNING, debug_query_string);
	is_shown = false;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		tenancy_progress_end();
}

void
tenancy_progress_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}

/* For whoever waits at most so many milliseconds: wake up for a line. */
int
tenancy_progress_timeout(int timeout)
{
	return tenancy_guc_progress_interval == 0 ? timeout : Min(timeout, tenancy_guc_progress_interval);
}

/* How many a second were done. */
double
tenancy_progress_rate(const TenancyProgress *progress, double done)
{
	TimestampTz elapsed = GetCurrentTimestamp() - progress->started_at;

	return done * USECS_PER_SEC / Max(elapsed, 1);
}

/* How many seconds the rest takes at that rate; some must have been done. */
double
tenancy_progress_remaining(const TenancyProgress *progress, double done, double total)
{
	Assert(done > 0);
	return Max(total - done, 0) / tenancy_progress_rate(progress, done);
}

/* Begin to count what is done in some tables. */
void
tenancy_progress_begin_tally(TenancyTallyLine line, int tables)
{
	memset(&tally, 0, sizeof(tally));
	tally.tables = tables;
	tally_line = line;
	tenancy_progress_start(&tally.pace);
}

void
tenancy_progress_next_table(void)
{
	tally.table++;
}

/* So many more are to be done. */
void
tenancy_progress_expect(uint64 more)
{
	tally.total += more;
}

/* So many have been done. */
void
tenancy_progress_add(uint64 done)
{
	tally.done += done;
	if (tally_line != NULL && tally.done > 0 && tenancy_progress_is_due(&tally.pace))
		tenancy_progress_tell(tally_line(&tally));
}

void
tenancy_progress_end_tally(void)
{
	tally_line = NULL;
	tenancy_progress_end();
}
