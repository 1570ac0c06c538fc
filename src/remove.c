/*-------------------------------------------------------------------------
 *
 * remove.c
 *	  Deleting a tenant, or a spare, from the registry.
 *
 * The owners of models may let their tables refer to the registry.  Where such a
 * foreign key has an action (CASCADE, SET NULL, SET DEFAULT), PostgreSQL changes their
 * rows as their owner; but up to 17, it fires what follows, their AFTER triggers, with the
 * rights of whoever deletes the registry's row, and that is a superuser.
 *
 * So where there is one, we do what it asks for beforehand, in its owner's name, delete the
 * registry's row past the triggers, and then see for all of these foreign keys that
 * nothing refers to it.  What an owner's code does meanwhile concerns its own tables.
 * The same where one is deferred, whose check cannot be left to a commit with other
 * rights.  Where there is neither, PostgreSQL checks them all by itself, and that only reads.
 *
 * Locks: ROW EXCLUSIVE on the registry's table before it is asked for foreign keys, which
 * keeps others from adding any; the tenant's row for update, which keeps them from
 * referring to it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "compat.h"
#include "exec.h"
#include "executor/spi.h"
#include "ident.h"
#include "nodes/parsenodes.h"
#include "registry.h"
#include "remove.h"
#include "storage/lmgr.h"

/* A foreign key to the registry */
typedef struct Reference
{
	char	   *name;
	Oid			owner;			/* of the table that refers */
	Oid			relid;			/* that table */
	char		action;			/* as in pg_constraint.confdeltype */
	bool		deferred;
	char	   *table;			/* f, for SQL, with ONLY unless it is partitioned */
	char	   *condition;		/* on its rows: they refer to the tenant */
	char	   *set_null;		/* SET lists */
	char	   *set_default;
} Reference;

/* The foreign keys to the registry, in order of the owners. */
static List *
find_references(const char *id)
{
	Oid			registry = tenancy_registry_relation("tenant");
	List	   *references = NIL;
	TenancyExec exec;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_prefer_indexes();
	nrows = tenancy_exec_latest(psprintf("SELECT k.conname, c.relowner, k.confdeltype, k.condeferred,"
								" pg_catalog.concat(CASE c.relkind WHEN 'r' THEN 'ONLY ' END, c.oid::pg_catalog.regclass),"
								" pg_catalog.string_agg(pg_catalog.format('%%L::%%s OPERATOR(%%I.%%s) f.%%I',"
								"  pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->>) pa.attname::pg_catalog.text,"
								"  pg_catalog.format_type(pa.atttypid, NULL), n.nspname, o.oprname, fa.attname), ' AND '),"
								" pg_catalog.string_agg(pg_catalog.format('%%I = NULL', fa.attname), ', ')"
								"  FILTER (WHERE k.confdelsetcols IS NULL OR u.fk OPERATOR(pg_catalog.=) ANY (k.confdelsetcols)),"
								" pg_catalog.string_agg(pg_catalog.format('%%I = DEFAULT', fa.attname), ', ')"
								"  FILTER (WHERE k.confdelsetcols IS NULL OR u.fk OPERATOR(pg_catalog.=) ANY (k.confdelsetcols)), c.oid"
								" FROM tenancy.tenant t CROSS JOIN " TENANCY_KEYS_TO("%u") " k"
								" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.conrelid"
								" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey),"
								"  pg_catalog.unnest(k.conpfeqop)) AS u(fk, pk, op)"
								" JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) k.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk"
								" JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) k.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk"
								" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.op"
								" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace"
								" WHERE t.id OPERATOR(pg_catalog.=) '%s' AND k.conparentid OPERATOR(pg_catalog.=) 0 AND " TENANCY_IS_ENFORCED
								" GROUP BY k.oid, k.conname, c.oid, c.relowner, c.relkind, k.confdeltype, k.condeferred, k.confdelsetcols"
								" ORDER BY c.relowner, k.oid", registry, registry, id));
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		Reference  *reference = palloc0(sizeof(Reference));
		char	   *values[9];

		for (int n = 0; n < lengthof(values); n++)
			values[n] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, n + 1);
		reference->name = values[0];
		reference->owner = atooid(values[1]);
		reference->action = *values[2];
		reference->deferred = *values[3] == 't';
		reference->table = values[4];
		reference->condition = values[5];
		reference->set_null = values[6];
		reference->set_default = values[7];
		reference->relid = atooid(values[8]);
		references = lappend(references, reference);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return references;
}

/* OIDs as the text of an array. */
static char *
array_text(List *oids)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, oids)
		appendStringInfo(&buf, "%s%u", buf.len > 0 ? "," : "{", lfirst_oid(lc));
	appendStringInfoString(&buf, buf.len > 0 ? "}" : "{}");
	return buf.data;
}

/*
 * Rows of these tables are about to be deleted, or updated, as their owner.  Foreign keys'
 * actions go on to tables of others, a plug-in's, whose triggers would fire with his rights,
 * and past FORCE ROW LEVEL SECURITY as well: they would see the rows of all tenants.
 *
 * A key may refer to a partition or child as well.  One that comes after our look, between
 * two transactions of those that delete very many rows, is not seen.
 */
void
tenancy_remove_refuse_borrowers(List *deleted, List *updated)
{
	char	   *borrower = NULL;
	TenancyExec exec;

	if (!TENANCY_ACTIONS_BORROW_RIGHTS || (deleted == NIL && updated == NIL))
		return;
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (tenancy_exec_latest(psprintf("WITH RECURSIVE reach (owner, relid, constraint_id, is_updated) AS (SELECT c.relowner, c.oid, 0::pg_catalog.oid, u.is_updated"
									 "  FROM (SELECT r, false FROM pg_catalog.unnest('%s'::pg_catalog.oid[]) r"
									 "  UNION ALL SELECT r, true FROM pg_catalog.unnest('%s'::pg_catalog.oid[]) r) u (relid, is_updated)"
									 "  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) u.relid"
									 " UNION SELECT r.owner, s.relid, s.constraint_id, s.is_updated FROM reach r CROSS JOIN LATERAL ("
									 "  SELECT k.conrelid, k.oid, r.is_updated OR k.confdeltype OPERATOR(pg_catalog.<>) 'c' FROM " TENANCY_KEYS_TO("r.relid") " k"
									 "   WHERE CASE WHEN r.is_updated THEN k.confupdtype ELSE k.confdeltype END OPERATOR(pg_catalog.=) ANY ('{c,n,d}'::pg_catalog.\"char\"[])"
									 "  UNION ALL SELECT i.inhrelid, r.constraint_id, r.is_updated FROM pg_catalog.pg_inherits i"
									 "   WHERE i.inhparent OPERATOR(pg_catalog.=) r.relid) s (relid, constraint_id, is_updated))"
									 " SELECT pg_catalog.format('Foreign key %%I of table %%s, which belongs to role %%I, acts on rows there, and the table has trigger %%I.',"
									 "  k.conname, c.oid::pg_catalog.regclass, pg_catalog.pg_get_userbyid(c.relowner), t.tgname)"
									 " FROM reach r JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relid"
									 " JOIN pg_catalog.pg_constraint k ON k.oid OPERATOR(pg_catalog.=) r.constraint_id"
									 " JOIN pg_catalog.pg_trigger t ON t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal"
									 " WHERE NOT pg_catalog.pg_has_role(c.relowner, r.owner, 'MEMBER')"
									 " ORDER BY c.oid, k.oid, t.oid LIMIT 1", array_text(deleted), array_text(updated))) > 0)
		borrower = MemoryContextStrdup(exec.caller_context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	tenancy_exec_end(&exec);
	if (borrower != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete a tenant's rows: a trigger of another owner's would fire with the rights of the tables' owner"),
				 errdetail_internal("%s", borrower),
				 errhint("Let the foreign key have NO ACTION, drop the trigger, or let the tables have one owner.")));
}

/* The same for what these foreign keys ask for. */
static void
refuse_borrowers(List *references)
{
	List	   *deleted = NIL;
	List	   *updated = NIL;
	ListCell   *lc;

	foreach(lc, references)
	{
		const Reference *reference = lfirst(lc);

		if (reference->action == 'c')
			deleted = lappend_oid(deleted, reference->relid);
		else if (reference->action == 'n' || reference->action == 'd')
			updated = lappend_oid(updated, reference->relid);
	}
	tenancy_remove_refuse_borrowers(deleted, updated);
}

/* Is one of them more than a check that is made at once? */
static bool
are_ours_to_do(List *references)
{
	ListCell   *lc;

	foreach(lc, references)
	{
		const Reference *reference = lfirst(lc);

		if (reference->deferred || strchr("cnd", reference->action) != NULL)
			return true;
	}
	return false;
}

/* Run a statement as the owner of tables, all of whose rows it reaches. */
static void
run_as(Oid owner, const char *sql)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	(void) tenancy_exec_sql(sql);
	tenancy_exec_end(&exec);
}

/*
 * Do what the foreign keys ask for.  One statement deletes from all tables of an owner, so
 * that foreign keys between these are checked when all is gone.
 */
static void
do_actions(List *references)
{
	StringInfoData delete;
	ListCell   *lc;

	foreach(lc, references)
	{
		const Reference *reference = lfirst(lc);

		if (reference->action == 'n' || reference->action == 'd')
			run_as(reference->owner, psprintf("UPDATE %s f SET %s WHERE %s", reference->table,
											  reference->action == 'n' ? reference->set_null : reference->set_default,
											  reference->condition));
	}
	initStringInfo(&delete);
	foreach(lc, references)
	{
		const Reference *reference = lfirst(lc);
		const Reference *next = lnext(references, lc) ? lfirst(lnext(references, lc)) : NULL;

		if (reference->action == 'c')
			appendStringInfo(&delete, "%s d%d AS (DELETE FROM %s f WHERE %s)", delete.len > 0 ? "," : "WITH",
							 foreach_current_index(lc), reference->table, reference->condition);
		if (delete.len > 0 && (next == NULL || next->owner != reference->owner))
		{
			run_as(reference->owner, psprintf("%s SELECT", delete.data));
			resetStringInfo(&delete);
		}
	}
}

/* What PostgreSQL would have said. */
static void
check_references(List *references)
{
	ListCell   *lc;

	foreach(lc, references)
	{
		const Reference *reference = lfirst(lc);
		TenancyExec exec;
		bool		found;

		tenancy_exec_begin(&exec, reference->owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		found = tenancy_exec_finds(psprintf("SELECT FROM %s f WHERE %s LIMIT 1", reference->table, reference->condition));
		tenancy_exec_end(&exec);
		if (found)
			ereport(ERROR,
					(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
					 errmsg("the tenant cannot be deleted: rows refer to it by foreign key constraint \"%s\"",
							reference->name)));
	}
}

/* Delete a tenant or spare, and what belongs to it, from the registry. */
void
tenancy_remove(const pg_uuid_t *tenant)
{
	char	   *id = tenancy_ident_uuid_text(tenant);
	ConstraintsSetStmt immediate = {.type = T_ConstraintsSetStmt};	/* all of them */
	TenancyExec exec;
	List	   *references;
	bool		by_hand;

	tenancy_exec_format_as(tenancy_registry_owner(),
						   "DELETE FROM tenancy.access WHERE tenant_id OPERATOR(pg_catalog.=) '%s';"
						   "DELETE FROM tenancy.tenant_module WHERE tenant_id OPERATOR(pg_catalog.=) '%s';"
						   "DELETE FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
						   " AND module OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT name FROM tenancy.module));"
						   "DELETE FROM tenancy.spare WHERE tenant_id OPERATOR(pg_catalog.=) '%s'",
						   id, id, id, id);
	LockRelationOid(tenancy_registry_relation("tenant"), RowExclusiveLock);
	references = find_references(id);
	by_hand = are_ours_to_do(references);
	if (by_hand)
	{
		refuse_borrowers(references);
		/* What is deferred by now is the caller's, and fires as such; nothing is from here on. */
		AfterTriggerSetState(&immediate);
		tenancy_exec_format_as(tenancy_registry_owner(),
							   "SELECT FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s' FOR UPDATE", id);
		do_actions(references);
	}
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (by_hand)
		tenancy_exec_set("session_replication_role", "replica");
	tenancy_exec_format("DELETE FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s'", id);
	tenancy_exec_end(&exec);
	if (by_hand)
		check_references(references);
}
