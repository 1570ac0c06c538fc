/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  When to tell how far a long call is, and how long it will take.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_PROGRESS_H
#define TENANCY_PROGRESS_H

#include "datatype/timestamp.h"

typedef struct TenancyProgress
{
	TimestampTz started_at;
	TimestampTz reported_at;
} TenancyProgress;

extern void tenancy_progress_start(TenancyProgress *progress);
extern bool tenancy_progress_is_due(TenancyProgress *progress);
extern int	tenancy_progress_timeout(int timeout);
extern double tenancy_progress_rate(const TenancyProgress *progress, double done);
extern double tenancy_progress_remaining(const TenancyProgress *progress, double done, double total);

#endif							/* TENANCY_PROGRESS_H */
