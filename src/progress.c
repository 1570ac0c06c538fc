/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  When to tell how far a long call is, and how long it will take.
 *
 * A call that may take long tells its caller by a NOTICE how far it is, each
 * time that tenancy.progress_interval has passed.  The messages are their
 * callers': a sentence put together of parts could not be translated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "progress.h"
#include "utils/timestamp.h"

void
tenancy_progress_start(TenancyProgress *progress)
{
	progress->started_at = progress->reported_at = GetCurrentTimestamp();
}

/* Is it time for a line?  Then the caller writes one. */
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
