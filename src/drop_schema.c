/*-------------------------------------------------------------------------
 *
 * drop_schema.c
 *	  Dropping tenants' schemas.
 *
 * The locks that this takes are held to the end of the transaction, so whoever
 * is in the way is waited for before any of them is taken.  A schema of very many
 * tables would take more locks than there are for all: most of its tables are
 * dropped by a worker before that, in transactions of their own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "drop_schema.h"
#include "exec.h"
#include "ident.h"
#include "miscadmin.h"
#include "progress.h"
#include "registry.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Of a schema's relations. */
#define TABLES "AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[])"

PGDLLEXPORT void tenancy_drop_tables_main(const char *argument);

/*
 * What depends on a schema's types and functions, from outside of schemas whose
 * names are given as an array: columns, defaults, views, other functions.
 */
static List *
users_of_schema(TenancyExec *exec, const char *schema, const char *names)
{
	return tenancy_exec_text_list(exec, psprintf(
		"WITH RECURSIVE member (classid, objid) AS ("
		"  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d"
		"  WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
		"  AND d.refobjid OPERATOR(pg_catalog.=) %u::pg_catalog.oid AND d.deptype OPERATOR(pg_catalog.=) 'n'"
		" UNION SELECT d.classid, d.objid FROM member m"
		"  JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) m.classid AND d.refobjid OPERATOR(pg_catalog.=) m.objid"
		"  WHERE d.deptype OPERATOR(pg_catalog.=) 'i')"
		" SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)"
		" FROM member m"
		" JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) m.classid AND d.refobjid OPERATOR(pg_catalog.=) m.objid"
		"  AND d.deptype OPERATOR(pg_catalog.=) 'n'"
		" LEFT JOIN pg_catalog.pg_attrdef a ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_constraint k ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_rewrite w ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_trigger g ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass AND g.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) CASE WHEN d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		"  THEN d.objid ELSE COALESCE(a.adrelid, k.conrelid, w.ev_class, g.tgrelid) END"
		" LEFT JOIN pg_catalog.pg_proc p ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_type t ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid OPERATOR(pg_catalog.=) d.objid"
		" JOIN pg_catalog.pg_namespace o ON o.oid OPERATOR(pg_catalog.=) COALESCE(c.relnamespace, p.pronamespace, t.typnamespace)"
		" WHERE m.classid OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass]::pg_catalog.oid[])"
		" AND o.nspname OPERATOR(pg_catalog.<>) ALL (%s::pg_catalog.name[])",
		get_namespace_oid(schema, true), names));
}

/*
 * What outside a tenant's schemas depends on what is inside would be dropped
 * along: somebody's report over all tenants, say.
 */
void
tenancy_drop_check_dependents(const char *what, List *schemas, const char *hint)
{
	TenancyExec exec;
	StringInfoData names;
	List	   *dependents = NIL;
	ListCell   *lc;

	/* Their names need no quoting: see ident.c. */
	initStringInfo(&names);
	foreach(lc, schemas)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "", (char *) lfirst(lc));

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_prefer_indexes();
	foreach(lc, schemas)
		dependents = list_concat(dependents,
								 tenancy_exec_text_list(&exec, psprintf(
		"SELECT DISTINCT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, o.oid, 0)"
		" FROM " TENANCY_RELATIONS_OF("ARRAY[%u]::pg_catalog.oid[]") " c"
		" JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		"  AND d.refobjid OPERATOR(pg_catalog.=) c.oid"
		" LEFT JOIN pg_catalog.pg_rewrite w ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
		"  AND w.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_constraint f ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass"
		"  AND f.oid OPERATOR(pg_catalog.=) d.objid"
		" JOIN pg_catalog.pg_class o ON o.oid OPERATOR(pg_catalog.=) COALESCE(w.ev_class, f.conrelid)"
		" WHERE o.relnamespace OPERATOR(pg_catalog.<>) c.relnamespace"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace mine"
		"  WHERE mine.oid OPERATOR(pg_catalog.=) o.relnamespace"
		"  AND mine.nspname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]))",
		get_namespace_oid(lfirst(lc), true),
		quote_literal_cstr(psprintf("{%s}", names.data)))));
	foreach(lc, schemas)
		dependents = list_concat(dependents,
								 users_of_schema(&exec, lfirst(lc),
												 quote_literal_cstr(psprintf("{%s}", names.data))));
	tenancy_exec_end(&exec);

	if (dependents != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop %s because other objects depend on its tables", what),
				 errdetail("Depending objects: %s.", tenancy_ident_enumerate(dependents)),
				 errhint("%s", hint)));
}

/*
 * The relations of a schema, "c", with what else their query is to have.  Were the
 * schema looked up there, the relations of all tenants would be read first.
 */
static List *
relations_of(const char *schema, const char *rest)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT c.oid FROM " TENANCY_RELATIONS_OF("ARRAY[%u]::pg_catalog.oid[]") " c WHERE true %s",
		get_namespace_oid(schema, true), rest)))
		relations = lappend_oid(relations, atooid(lfirst(lc)));
	return relations;
}

/*
 * Wait until nobody uses any of these relations who does now.  We are in nobody's way
 * meanwhile, as we would be in the queue for a lock.
 */
static void
wait_for_users(List *relations)
{
	ListCell   *lc;

	foreach(lc, relations)
	{
		LOCKTAG		tag;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, lfirst_oid(lc));
		WaitForLockers(tag, AccessExclusiveLock, false);
	}
}

/* The tables outside of their schemas to which foreign keys of these refer, in order. */
static List *
referenced_by(List *tables)
{
	List	   *referenced = NIL;
	StringInfoData oids;
	ListCell   *lc;

	initStringInfo(&oids);
	foreach(lc, tables)
		appendStringInfo(&oids, "%s%u", oids.len > 0 ? "," : "", lfirst_oid(lc));
	foreach(lc, tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT k.confrelid FROM pg_catalog.pg_constraint k"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.conrelid"
		" JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) k.confrelid"
		" WHERE k.conrelid OPERATOR(pg_catalog.=) ANY ('{%s}'::pg_catalog.oid[]) AND k.contype OPERATOR(pg_catalog.=) 'f'"
		" AND p.relnamespace OPERATOR(pg_catalog.<>) c.relnamespace ORDER BY 1", oids.data)))
		referenced = lappend_oid(referenced, atooid(lfirst(lc)));
	return referenced;
}

/*
 * Lock the tables outside to which foreign keys of these tables refer, as PostgreSQL does
 * to remove these, but before the tables themselves: a cascade has the locks in this order.
 * All tenants may be at work with such a table.  So whoever has one of them for long, or
 * one of these, is waited for before that: nobody is to wait for him behind us.
 */
static void
lock_referenced(List *tables)
{
	List	   *referenced = referenced_by(tables);
	ListCell   *lc;

	if (referenced == NIL)
		return;
	wait_for_users(tables);
	wait_for_users(referenced);
	foreach(lc, referenced)
		LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
}

/*
 * Drop schemas of a tenant, as their owner.  Without force, what depends on
 * them from outside is an error, which says what was to be dropped.  Somebody
 * else's schema stays.
 */
void
tenancy_drop_schemas(const char *what, List *schemas, bool force)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, schemas)
	{
		if (!tenancy_registry_is_foreign_schema(lfirst(lc)))
			continue;
		ereport(NOTICE,
				(errmsg("schema \"%s\" is left alone: its owner is not the owner of the model",
						(char *) lfirst(lc))));
		schemas = foreach_delete_current(schemas, lc);
	}
	if (!force)
		tenancy_drop_check_dependents(what, schemas, "Drop them first, or use force => true to drop them too.");
	foreach(lc, schemas)
		relations = list_concat(relations, relations_of(lfirst(lc), ""));
	lock_referenced(relations);
	foreach(lc, schemas)
	{
		Oid			owner = tenancy_registry_schema_owner(lfirst(lc));
		TenancyExec exec;

		if (!OidIsValid(owner))
			continue;			/* gone already: nothing is left to drop */
		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		tenancy_exec_set("client_min_messages", "warning");
		tenancy_exec_format("DROP SCHEMA %s CASCADE", quote_identifier(lfirst(lc)));
		tenancy_exec_end(&exec);
	}
}


/* ----------------------------------------------------------------
 * Many tables
 * ----------------------------------------------------------------
 */

/* How many locks it takes to drop a table, with its indexes, its sequences, TOAST. */
#define LOCKS_OF_TABLE		16

/* For how many tables such a part of the lock table has room. */
static int
tables_within(int part)
{
	return Max(1, max_locks_per_xact * (MaxBackends + max_prepared_xacts) / part / LOCKS_OF_TABLE);
}

static int
count_tables(List *schemas)
{
	int			count = 0;
	ListCell   *lc;

	foreach(lc, schemas)
	{
		if (!tenancy_registry_is_foreign_schema(lfirst(lc)))
			count += list_length(relations_of(lfirst(lc), TABLES));
	}
	return count;
}

/* Are there so many tables in a tenant's schemas that one transaction may not be able to drop them? */
bool
tenancy_drop_is_large(List *schemas)
{
	return count_tables(schemas) > tables_within(2);
}

/*
 * Drop a tenant's tables, and what depends on them, in a worker, which commits after some
 * of them.  It has steps to do before that.  A rollback does not bring them back.
 */
void
tenancy_drop_tables(TenancyJob *job, List *schemas)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, schemas)
	{
		if (!tenancy_registry_is_foreign_schema(lfirst(lc)))
			appendStringInfo(&names, "%s\n", (char *) lfirst(lc));
	}
	job->function = "tenancy_drop_tables_main";
	job->argument = names.data;
	(void) tenancy_worker_run(job);
}

static char *
tables_line(const TenancyTally *tally)
{
	return psprintf(_("dropped %llu of %llu tables, %.0f tables/s, about %.0f s remaining"),
					(unsigned long long) tally->done, (unsigned long long) tally->total,
					tenancy_progress_rate(&tally->pace, tally->done),
					tenancy_progress_remaining(&tally->pace, tally->done, tally->total));
}

/*
 * Drop some tables of a schema, in a transaction; returns how many.  Partitions and
 * children first: their parents would take them all along.
 */
static int
drop_some_tables(const char *schema)
{
	StringInfoData names;
	List	   *tables;
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tables = relations_of(schema, psprintf(TABLES " ORDER BY c.relispartition DESC, c.relkind DESC, c.oid DESC LIMIT %d",
										   tables_within(4)));
	lock_referenced(tables);
	initStringInfo(&names);
	foreach(lc, tables)
	{
		char	   *name = get_rel_name(lfirst_oid(lc));

		if (name != NULL)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", quote_qualified_identifier(schema, name));
	}
	if (names.len > 0)
	{
		TenancyExec exec;

		tenancy_exec_begin(&exec, tenancy_registry_schema_owner(schema), TENANCY_PATH_NONE);
		tenancy_exec_set("client_min_messages", "warning");
		tenancy_exec_format("DROP TABLE IF EXISTS %s CASCADE", names.data);
		tenancy_exec_end(&exec);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	CHECK_FOR_INTERRUPTS();
	return list_length(tables);
}

/* The worker's function; its argument are the schemas' names, the main module's first. */
void
tenancy_drop_tables_main(const char *argument)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tenancy tables", ALLOCSET_DEFAULT_SIZES);
	List	   *schemas = NIL;
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	for (char *name = strtok(pstrdup(argument), "\n"); name != NULL; name = strtok(NULL, "\n"))
		schemas = lcons(name, schemas);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_progress_begin_tally(tables_line, 1);
	tenancy_progress_expect(count_tables(schemas));
	PopActiveSnapshot();
	CommitTransactionCommand();
	foreach(lc, schemas)
	{
		int			count;

		while ((count = drop_some_tables(lfirst(lc))) > 0)
			tenancy_progress_add(count);
	}
	tenancy_progress_end_tally();
}
