/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  Background workers: what they run, waiting for them, their errors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_WORKER_H
#define TENANCY_WORKER_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker.h"
#include "progress.h"
#include "storage/lock.h"
#include "utils/uuid.h"

/*
 * A statement for a step with rows, see below, that deletes them if they are (still) a
 * tenant's.  That condition is for no index: each batch would read the index for all.
 */
#define TENANCY_WORKER_DELETE_BATCH(table, column, tenant) \
	"DELETE FROM ONLY " table " WHERE " column " IS NOT DISTINCT FROM " tenant \
	" AND ctid OPERATOR(pg_catalog.=) ANY ($1)"

/* One or several statements of a job. */
typedef struct TenancyStep
{
	bool		toplevel;		/* a command that no transaction block takes */
	bool		commit_before;	/* begins a new transaction */
	const char *rows;			/* a query for the ctids of rows: sql, with many of them as $1, ends
								 * them in transactions of its own, until there are none; or NULL */
	const char *expectation;	/* if no row is processed, this is the error */
	bool		noforce_rls;	/* the role reaches all rows of its tables */
	Oid			role;			/* runs as this role, restricted */
	const char *search_path;
	const pg_uuid_t *tenant;	/* is in context, whatever its status, or NULL */
	const char *sql;
} TenancyStep;

/*
 * What a worker does: steps in a database, and then a function of this
 * library that takes a string and makes its own transactions.
 */
typedef struct TenancyJob
{
	Oid			database;
	List	   *steps;
	bool		commit_next;	/* the next step begins a new transaction */
	bool		leave;			/* its process may be ending still when we go on */
	const char *function;		/* NULL if there is none */
	const char *argument;
	void		(*receive) (StringInfo message, void *arg); /* called with what it sends, or NULL */
	void	   *receive_arg;
} TenancyJob;

typedef void (*TenancyWorkerFunction) (const char *argument);

extern TenancyJob *tenancy_worker_job(Oid database);
extern TenancyStep *tenancy_worker_add(TenancyJob *job, const char *format,...) pg_attribute_printf(2, 3);
extern TenancyStep *tenancy_worker_add_toplevel(TenancyJob *job, const char *format,...) pg_attribute_printf(2, 3);
extern void tenancy_worker_commit(TenancyJob *job);
extern uint64 tenancy_worker_run(TenancyJob *job);

/* A worker that is started before its job is known, which takes it a while. */
typedef struct TenancyWorker TenancyWorker;

extern TenancyWorker *tenancy_worker_start(Oid database);
extern void tenancy_worker_dismiss(TenancyWorker *worker);
extern uint64 tenancy_worker_run_in(TenancyWorker *worker, TenancyJob *job);

/* A worker that nobody waits for, at the end of a transaction. */
extern BackgroundWorkerHandle *tenancy_worker_launch(const char *function,
													 const void *extra, Size size);
extern void tenancy_worker_linger(BackgroundWorkerHandle *handle, int timeout_ms);
extern void tenancy_worker_leave(BackgroundWorkerHandle *handle);

/* For workers themselves. */
extern void tenancy_worker_send(const char *data, int len);
extern char *tenancy_worker_deletion_line(const TenancyTally *tally);
extern void tenancy_worker_connect(Oid database, Oid role);
extern void tenancy_worker_hold(const LOCKTAG *tag, LOCKMODE mode);
extern void tenancy_worker_toplevel(const char *sql);
extern void tenancy_worker_toplevel_node(Node *stmt, const char *sql);

#endif							/* TENANCY_WORKER_H */
