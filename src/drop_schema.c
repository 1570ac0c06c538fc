/*-------------------------------------------------------------------------
 *
 * drop_schema.c
 *	  Dropping tenants' schemas.
 *
 * The locks that this takes are held to the end of the transaction, so whoever
 * is in the way is waited for before any of them is taken.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "drop_schema.h"
#include "exec.h"
#include "ident.h"
#include "miscadmin.h"
#include "registry.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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
		" FROM pg_catalog.pg_namespace n"
		" CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " c"
		" JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		"  AND d.refobjid OPERATOR(pg_catalog.=) c.oid"
		" LEFT JOIN pg_catalog.pg_rewrite w ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
		"  AND w.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_constraint f ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass"
		"  AND f.oid OPERATOR(pg_catalog.=) d.objid"
		" JOIN pg_catalog.pg_class o ON o.oid OPERATOR(pg_catalog.=) COALESCE(w.ev_class, f.conrelid)"
		" WHERE n.nspname OPERATOR(pg_catalog.=) %s AND o.relnamespace OPERATOR(pg_catalog.<>) n.oid"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace mine"
		"  WHERE mine.oid OPERATOR(pg_catalog.=) o.relnamespace"
		"  AND mine.nspname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]))",
		quote_literal_cstr(lfirst(lc)),
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

/* The relations that a query about those of a schema, "c", selects. */
static List *
relations_of(const char *schema, const char *select, const char *where)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT %s FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " c"
		" %s n.nspname OPERATOR(pg_catalog.=) %s ORDER BY 1", select, where, quote_literal_cstr(schema))))
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

/*
 * Lock the tables outside to which foreign keys of schemas refer, as PostgreSQL does to
 * remove these, but before the schemas' own: a cascade has the locks in this order.
 * All tenants may be at work with such a table.  So whoever has one of them for long, or
 * one of the schemas', is waited for before that: nobody is to wait for him behind us.
 */
static void
lock_referenced(List *schemas)
{
	List	   *own = NIL;
	List	   *referenced = NIL;
	ListCell   *lc;

	foreach(lc, schemas)
	{
		own = list_concat(own, relations_of(lfirst(lc), "c.oid", "WHERE"));
		referenced = list_concat_unique_oid(referenced, relations_of(
			lfirst(lc), "k.confrelid",
			"JOIN pg_catalog.pg_constraint k ON k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'f'"
			" JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) k.confrelid"
			" WHERE p.relnamespace OPERATOR(pg_catalog.<>) n.oid AND"));
	}
	if (referenced == NIL)
		return;
	wait_for_users(own);
	wait_for_users(referenced);
	list_sort(referenced, list_oid_cmp);
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
	lock_referenced(schemas);
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
