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
extern void tenancy_progress_tell(char *line);
extern void tenancy_progress_end(void);
extern void tenancy_progress_init(void);
extern int	tenancy_progress_timeout(int timeout);
extern double tenancy_progress_rate(const TenancyProgress *progress, double done);
extern double tenancy_progress_remaining(const TenancyProgress *progress, double done, double total);

/* For workers that handle a tenant's rows, table by table */
typedef struct TenancyTally
{
	TenancyProgress pace;
	int			table;			/* the current one, from 1 ... */
	int			tables;			/* ... of so many */
	uint64		done;			/* rows or bytes ... */
	uint64		total;			/* ... of so many, 0 if that is not known */
} TenancyTally;

/* The line that tells of it; done is not 0. */
typedef char *(*TenancyTallyLine) (const TenancyTally *tally);

extern void tenancy_progress_begin_tally(TenancyTallyLine line, int tables);
extern void tenancy_progress_next_table(void);
extern void tenancy_progress_expect(uint64 more);
extern void tenancy_progress_add(uint64 done);
extern void tenancy_progress_end_tally(void);

#endif							/* TENANCY_PROGRESS_H */
