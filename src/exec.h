/*-------------------------------------------------------------------------
 *
 * exec.h
 *	  Running SQL as another role, restricted, with a pinned path.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_EXEC_H
#define TENANCY_EXEC_H

#include "fmgr.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "nodes/params.h"
#include "nodes/pg_list.h"
#include "tcop/utility.h"
#include "utils/snapshot.h"

/* What tenancy_exec_begin() changed, for tenancy_exec_end() to put back. */
typedef struct TenancyExec
{
	Oid			save_userid;
	int			save_sec_context;
	int			save_nestlevel;
	MemoryContext caller_context;
} TenancyExec;

/* What is called for each row of a query, in a memory context for that row. */
typedef void (*TenancyExecRow) (TupleTableSlot *slot, void *arg);

/* The path for statements that qualify every name. */
#define TENANCY_PATH_NONE "pg_catalog, pg_temp"

extern void tenancy_exec_begin(TenancyExec *exec, Oid role, const char *search_path);
extern void tenancy_exec_end(TenancyExec *exec);
extern void tenancy_exec_pin_session(void);
extern void tenancy_exec_commit_as(Oid role, const char *search_path, const char *tenant);

/* A function's argument that must not be null; "name" is the argument's. */
#define tenancy_require_arg(fcinfo, n, name) \
	do { \
		if ((fcinfo)->args[n].isnull) \
			ereport(ERROR, \
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), \
					 errmsg("%s must not be null", (name)))); \
	} while (0)

extern void tenancy_exec_refuse_transaction(FunctionCallInfo fcinfo, const char *procedure,
											const char *why);

extern void tenancy_exec_begin_procedure(void);

extern void tenancy_exec_note_hook(ProcessUtility_hook_type own, bool chained);
extern bool tenancy_exec_is_watched(void);

extern void tenancy_exec_refuse_superuser(Oid owner, const char *relation);

/* A query by itself, with the rights of role. */
extern List *tenancy_exec_list_as(Oid role, const char *sql);
extern List *tenancy_exec_lookup_as(Oid role, const char *sql);
extern char *tenancy_exec_text_as(Oid role, const char *format,...) pg_attribute_printf(2, 3);

extern char *tenancy_exec_vformat(const char *format, va_list args) pg_attribute_printf(1, 0);

/* Between begin and end: */
extern void tenancy_exec_noforce_rls(void);
extern void tenancy_exec_unrestrict(void);
extern void tenancy_exec_set(const char *setting, const char *value);
extern void tenancy_exec_prefer_indexes(void);
extern uint64 tenancy_exec_sql(const char *sql);
extern uint64 tenancy_exec_latest(const char *sql);
extern bool tenancy_exec_finds(const char *sql);
extern uint64 tenancy_exec_format(const char *format,...) pg_attribute_printf(1, 2);
extern uint64 tenancy_exec_format_as(Oid role, const char *format,...) pg_attribute_printf(2, 3);
extern char *tenancy_exec_text(TenancyExec *exec, const char *sql);
extern char *tenancy_exec_text_format(TenancyExec *exec, const char *format,...) pg_attribute_printf(2, 3);
extern List *tenancy_exec_text_list(TenancyExec *exec, const char *sql);
extern uint64 tenancy_exec_rows(const char *sql, TenancyExecRow row, void *arg);
extern uint64 tenancy_exec_rows_at(const char *sql, ParamListInfo params, Snapshot snapshot, uint64 limit,
								   TenancyExecRow row, void *arg);

#endif							/* TENANCY_EXEC_H */
