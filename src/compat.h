/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Every difference between PostgreSQL versions, each with its reason.
 *
 * No other file looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_COMPAT_H
#define TENANCY_COMPAT_H

#ifndef FRONTEND
#include "utils/acl.h"
#include "utils/guc.h"
#endif

#if PG_VERSION_NUM < 150000
#error "tenancy needs PostgreSQL 15 or later"
#endif

/* 16 moved the macros of variable-length types to a header of their own. */
#if PG_VERSION_NUM >= 160000 && !defined(FRONTEND)
#include "catalog/pg_namespace.h"
#include "catalog/pg_database.h"
#include "varatt.h"
#endif

/* 16 moved the names of temporary files there. */
#if PG_VERSION_NUM >= 160000 && !defined(FRONTEND)
#include "common/file_utils.h"
#endif

/*
 * From 16 on, what a check hook leaves in *extra is freed by guc_free() and
 * lives in the GUC memory context; before, it is malloc'd.
 */
#if PG_VERSION_NUM >= 160000
#define tenancy_guc_malloc(size) guc_malloc(LOG, (size))
#else
#define tenancy_guc_malloc(size) malloc(size)
#endif

/* 16 replaced the pg_xxx_aclcheck() family by object_aclcheck(). */
#if PG_VERSION_NUM >= 160000
#define tenancy_namespace_aclcheck(nsp, role, mode) \
	object_aclcheck(NamespaceRelationId, (nsp), (role), (mode))
#define tenancy_database_aclcheck(db, role, mode) \
	object_aclcheck(DatabaseRelationId, (db), (role), (mode))
#define tenancy_function_aclcheck(function, role, mode) \
	object_aclcheck(ProcedureRelationId, (function), (role), (mode))
#else
#define tenancy_function_aclcheck(function, role, mode) \
	pg_proc_aclcheck((function), (role), (mode))
#define tenancy_namespace_aclcheck(nsp, role, mode) \
	pg_namespace_aclcheck((nsp), (role), (mode))
#define tenancy_database_aclcheck(db, role, mode) \
	pg_database_aclcheck((db), (role), (mode))
#endif

/*
 * Our workers log in as the extension's owner, into databases that take no
 * connections too.  From 17 on, a role without LOGIN needs a flag as well.
 */
#if PG_VERSION_NUM >= 170000
#define TENANCY_WORKER_CONNECTION_FLAGS \
	(BGWORKER_BYPASS_ALLOWCONN | BGWORKER_BYPASS_ROLELOGINCHECK)
#else
#define TENANCY_WORKER_CONNECTION_FLAGS BGWORKER_BYPASS_ALLOWCONN
#endif

/* 17 can end transactions that take long. */
#if PG_VERSION_NUM >= 170000
#define TENANCY_WORKER_SETTINGS {"transaction_timeout", "0"}
#else
#define TENANCY_WORKER_SETTINGS
#endif

/*
 * From 16 on, the actions of the JSON parser return whether to go on.  From 17
 * on, its state may be the caller's own.
 */
#if PG_VERSION_NUM >= 160000
#define TENANCY_JSON_ACTION JsonParseErrorType
#define tenancy_json_continue() return JSON_SUCCESS
#else
#define TENANCY_JSON_ACTION void
#define tenancy_json_continue() return
#endif
#if PG_VERSION_NUM >= 170000
#define tenancy_json_lex_context(json, len) \
	makeJsonLexContextCstringLen(NULL, (json), (len), PG_UTF8, true)
#else
#define tenancy_json_lex_context(json, len) \
	makeJsonLexContextCstringLen((json), (len), PG_UTF8, true)
#endif

/* 16 gave BeginCopyTo() a callback as another destination. */
#if PG_VERSION_NUM >= 160000
#define tenancy_begin_copy_to(pstate, query, path, options) \
	BeginCopyTo((pstate), NULL, (query), InvalidOid, (path), false, NULL, NIL, (options))
#else
#define tenancy_begin_copy_to(pstate, query, path, options) \
	BeginCopyTo((pstate), NULL, (query), InvalidOid, (path), false, NIL, (options))
#endif

/* 16 renamed what tells a relation's file. */
#if PG_VERSION_NUM >= 160000
#define tenancy_set_locator(rel, tablespace, database, file) \
	((rel)->rd_locator = (RelFileLocator) {(tablespace), (database), (file)})
#else
#define tenancy_set_locator(rel, tablespace, database, file) \
	((rel)->rd_node = (RelFileNode) {(tablespace), (database), (file)})
#endif

/* 16 gave ExecInsertIndexTuples() a parameter. */
#if PG_VERSION_NUM >= 160000
#define tenancy_insert_index_tuples(result, slot, estate) \
	ExecInsertIndexTuples((result), (slot), (estate), false, false, NULL, NIL, false)
#else
#define tenancy_insert_index_tuples(result, slot, estate) \
	ExecInsertIndexTuples((result), (slot), (estate), false, false, NULL, NIL)
#endif

/* 17 gave reindex_relation() the statement, for event triggers. */
#if PG_VERSION_NUM >= 170000
#define tenancy_reindex_table(table) \
	reindex_relation(NULL, (table), REINDEX_REL_CHECK_CONSTRAINTS, &(ReindexParams) {0})
#else
#define tenancy_reindex_table(table) \
	reindex_relation((table), REINDEX_REL_CHECK_CONSTRAINTS, &(ReindexParams) {0})
#endif

/* 17 renamed the first part of a virtual transaction's id. */
#if PG_VERSION_NUM >= 170000
#define tenancy_vxid_process(vxid) ((vxid).procNumber)
#else
#define tenancy_vxid_process(vxid) ((vxid).backendId)
#endif

/* 17 made the number of a process a variable. */
#if PG_VERSION_NUM >= 170000
#define TENANCY_PROC_NUMBER MyProcNumber
#else
#define TENANCY_PROC_NUMBER (MyProc->pgprocno)
#endif

/* 18 has pg_noreturn instead, which stands before the function. */
#if PG_VERSION_NUM >= 180000
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

/* 18 gave index_beginscan() a place for statistics. */
#if PG_VERSION_NUM >= 180000
#define tenancy_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), 0)
#else
#define tenancy_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), (nkeys), 0)
#endif

/* Domains' NOT NULL is a constraint with a name since 17, that of a table's column since 18. */
#if PG_VERSION_NUM < 170000
#define CONSTRAINT_NOTNULL 'n'
#endif
#if PG_VERSION_NUM >= 180000
#define tenancy_not_null_column(row) extractNotNullColumn(row)
#else
#define tenancy_not_null_column(row) InvalidAttrNumber
#endif

/* From 18 on, a column's NOT NULL may be not valid: rows of before can have nulls. */
#if PG_VERSION_NUM >= 180000
#define tenancy_has_no_nulls(desc, attno) \
	(TupleDescCompactAttr((desc), (attno) - 1)->attnullability == ATTNULLABLE_VALID)
#else
#define tenancy_has_no_nulls(desc, attno) \
	(TupleDescAttr((desc), (attno) - 1)->attnotnull)
#endif

/* Up to 17, the executor is told whether it will be asked only once. */
#if PG_VERSION_NUM >= 180000
#define TENANCY_EXECUTE_ONCE_PARAM
#define TENANCY_EXECUTE_ONCE
#else
#define TENANCY_EXECUTE_ONCE_PARAM , bool execute_once
#define TENANCY_EXECUTE_ONCE , execute_once
#endif

/*
 * Up to 17, AFTER triggers on rows that a foreign key's action has changed fire with the
 * rights of whoever changed the row that is referred to; since then, with the owner's, as
 * whom the action is done.
 */
#if PG_VERSION_NUM >= 180000
#define TENANCY_ACTIONS_BORROW_RIGHTS false
#else
#define TENANCY_ACTIONS_BORROW_RIGHTS true
#endif

/* 16 renamed the function that gives the state of one of the processes. */
#if PG_VERSION_NUM >= 160000
#define tenancy_get_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define tenancy_get_backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* 17 added a parameter. */
#if PG_VERSION_NUM >= 170000
#define tenancy_lock_held_by_me(tag, mode) LockHeldByMe((tag), (mode), false)
#else
#define tenancy_lock_held_by_me(tag, mode) LockHeldByMe((tag), (mode))
#endif

/* 16 gave collations rules, 17 renamed the column of the locale. */
#if PG_VERSION_NUM >= 160000
#define TENANCY_COLLATION_RULES Anum_pg_collation_collicurules
#endif
#if PG_VERSION_NUM >= 170000
#define TENANCY_COLLATION_LOCALE Anum_pg_collation_colllocale
#else
#define TENANCY_COLLATION_LOCALE Anum_pg_collation_colliculocale
#endif

/*
 * 18 has foreign keys that are not enforced, and such that refer to a time, by their last
 * column.  In queries, of the constraint that is called k.
 */
#if PG_VERSION_NUM >= 180000
#define TENANCY_IS_ENFORCED "k.conenforced"
#define TENANCY_IS_PERIOD "k.conperiod"
#else
#define TENANCY_IS_ENFORCED "true"
#define TENANCY_IS_PERIOD "false"
#endif

#endif							/* TENANCY_COMPAT_H */
