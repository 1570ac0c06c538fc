/*-------------------------------------------------------------------------
 *
 * clone.c
 *	  A model schema's definition as DDL, and its copy for a tenant.
 *
 * The definition is read from the catalogs and written as SQL statements in
 * an order that works.  Names in it are left to search_path: what is in the
 * model schema comes unqualified, because definitions are deparsed with the
 * model schema first on the path, and resolves to the copy, whose schema is
 * first on the path when the statements run.  Everything else comes
 * qualified, and goes on pointing where it pointed.  No text is replaced but
 * the model's name in the search_path of a function.
 *
 * Reading is by OID through the catalogs' indexes, from what depends on the
 * schema, so that it costs the same whatever else is in the database.
 *
 * Order: each object that others can be defined by (a type, function,
 * sequence, table or view) is created after what it needs, according to
 * pg_depend; otherwise in the order in which the model's were created.
 * Defaults and constraints are parts of their table or domain, and created
 * with it where that is possible, which is cheaper than ALTER TABLE (a
 * foreign key of a new table is not validated), but break a circle where it
 * is not: then they are added afterwards.  What nothing can be defined by
 * (indexes, triggers, comments, grants, policies and the like) comes last.
 *
 * Invariants:
 *
 * - A copy is exact or refused, before anything is created: what is in the
 *	 schema and not known here is refused by name.  Different by design are
 *	 the privileges on the schema itself, sequences (they start anew), the
 *	 owner of everything and the grantor of privileges (always the module
 *	 owner) and the default privileges of other roles, who create nothing in a
 *	 copy.
 *	 A tenant's copy has our own policies in place of the model's, none of the
 *	 foreign keys to tenancy.tenant (each would hang two more triggers on that
 *	 table and lock it against other calls; the policies hold the tenant
 *	 column to the one value anyway), and no TRUNCATE, REFERENCES or TRIGGER
 *	 for whoever may act for tenants.  On its materialized views, whose rows no
 *	 row security holds, nobody but the owner has any privilege.
 * - All of it is done as the module owner, restricted, so that what somebody
 *	 planted in the model schema runs with no more rights than its owner's.
 *	 Our own reading calls no operator by name, and neither do PostgreSQL's
 *	 deparsing functions that we call, except for pg_get_ruledef(), for which
 *	 see read_rules().
 * - Only the schema itself, and what only a superuser can create, is created
 *	 by the extension's owner: see clone_elevated.c.  An existing schema is
 *	 never adopted.
 *
 * Locks: ACCESS SHARE on the model's tables, views and sequences, to the end
 * of the transaction: their definitions must not change while they are read
 * and copied.  The statements lock what they refer to outside of the schema.  SHARE ROW
 * EXCLUSIVE on the tables outside that foreign keys point to, which keeps writers off
 * them and copies from each other, comes last, and in the order of the OIDs: see
 * tenancy_clone_add_keys().  Less would not do: a DELETE there that began before the new
 * triggers could be seen does not fire them, so that whoever is writing has to be waited for.
 * ROW EXCLUSIVE on catalogs while a tenant's copy is made, see hold_catalogs().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "clone.h"
#include "clone_body.h"
#include "clone_catalog.h"
#include "clone_create.h"
#include "clone_function.h"
#include "clone_grant.h"
#include "clone_model.h"
#include "clone_part.h"
#include "clone_policy.h"
#include "clone_read.h"
#include "compat.h"
#include "context.h"
#include "exec.h"
#include "ident.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "module.h"
#include "parser/analyze.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* ----------------------------------------------------------------
 * The whole
 * ----------------------------------------------------------------
 */

/* What nothing else can be defined by. */
static void
place_rest(Model *m)
{
	ListCell   *lc;

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if (object->kind == OBJ_SEQUENCE)
			tenancy_clone_own_sequence(m, object);
		else if (object->kind == OBJ_TABLE || object->kind == OBJ_MATVIEW)
			tenancy_clone_create_indexes(m, (Table *) object);
		else if (object->kind == OBJ_FUNCTION)
			tenancy_clone_add_extension_needs(m, object->dependencies,
											  psprintf("ROUTINE %s", tenancy_clone_function_signature(object)));
	}
	foreach(lc, m->index_attachments)
		tenancy_clone_emit(m, lfirst(lc));
	foreach(lc, m->statistics)
		tenancy_clone_create_statistics(m, lfirst(lc));

	/* Before row security, which would hide rows from their validation. */
	tenancy_clone_add_foreign_keys(m);

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);
		Table	   *table = lfirst(lc);

		if (object->kind == OBJ_TABLE || object->kind == OBJ_VIEW)
		{
			tenancy_clone_create_rules(m, table);
			tenancy_clone_create_triggers(m, table);
		}
		if (object->kind == OBJ_TABLE || object->kind == OBJ_MATVIEW)
		{
			tenancy_clone_add_column_actions(m, table);
			tenancy_clone_add_replica_identity(table);
			if (object->kind == OBJ_TABLE)
			{
				tenancy_clone_disown_inherited(m, table);
				tenancy_clone_validate_inherited(m, table);
				tenancy_clone_create_policies(m, table);
			}
		}
		tenancy_clone_comment_object(m, object);
		tenancy_clone_copy_object_privileges(m, object);
	}
	tenancy_clone_write_grants(m, m->revokes);
	tenancy_clone_write_grants(m, m->grants);

	/* Row security last: with it, there is more to be read of a table that is changed. */
	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if (object->kind == OBJ_TABLE || object->kind == OBJ_MATVIEW)
			tenancy_clone_alter_table(m, lfirst(lc));
	}
	if (m->tenant != NULL)
		tenancy_clone_create_walls(m);
	tenancy_clone_copy_default_privileges(m);
	tenancy_clone_remark_schema(m);
	foreach(lc, m->refreshes)
		tenancy_clone_emit_refresh(m, lfirst(lc));
	if (m->tenant != NULL)
		tenancy_clone_add_outside_keys(m);
}

/*
 * Open the catalogs with a snapshot that is younger than the locks on all
 * relations of the schema: what it shows does not change from then on.  The
 * locks are taken in the order of the OIDs.
 */
static void
lock_and_open(Model *m)
{
	List	   *locked = NIL;

	for (;;)
	{
		int			count = list_length(locked);
		List	   *members;
		ListCell   *lc;

		tenancy_clone_open_catalogs(&m->catalogs);
		members = tenancy_clone_rows2(&m->catalogs, CAT_REFERENCE, NamespaceRelationId, m->namespace);
		list_sort(members, tenancy_clone_compare_members);
		foreach(lc, members)
		{
			Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

			if (dep->classid != RelationRelationId || list_member_oid(locked, dep->objid))
				continue;
			LockRelationOid(dep->objid, AccessShareLock);
			locked = lappend_oid(locked, dep->objid);
		}
		if (list_length(locked) == count)
			return;
		tenancy_clone_close_catalogs(&m->catalogs);
	}
}

/* Read tenancy.protected_table. */
static void
read_protected(Model *m)
{
	Relation	rel = table_open(tenancy_registry_relation("protected_table"),
								 AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		relid = heap_getattr(tuple, Anum_protected_table_relation,
										 RelationGetDescr(rel), &isnull);
		Datum		column = heap_getattr(tuple, Anum_protected_table_tenant_column,
										  RelationGetDescr(rel), &isnull);

		m->protected_relids = lappend_oid(m->protected_relids, DatumGetObjectId(relid));
		m->protected_columns = lappend(m->protected_columns,
									   pstrdup(NameStr(*DatumGetName(column))));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static HTAB *
create_address_hash(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ObjectKey);
	ctl.entrysize = sizeof(ObjectEntry);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("tenancy model", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* A search_path of some schemas, then PostgreSQL's. */
static char *
path_of(List *schemas)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, schemas)
		appendStringInfo(&buf, "%s, ", quote_identifier(lfirst(lc)));
	appendStringInfoString(&buf, "pg_catalog, pg_temp");
	return buf.data;
}

/* The main module, if this one is another. */
static TenancyModule *
main_module(const TenancyModule *module)
{
	TenancyModule *first;

	if (module->position == 1)
		return NULL;
	first = linitial(tenancy_registry_modules());
	return first->position == 1 ? first : NULL;
}

/* The schema of a tenant's copy of a module. */
static char *
tenant_schema(const TenancyTenant *tenant, const TenancyModule *module)
{
	if (module->position == 1)
		return pstrdup(tenant->schema_name);
	return tenancy_ident_schema(tenant->slug, module->name);
}

/*
 * The schemas whose objects are left to search_path.  In a tenant's copy of a
 * plug-in, those of the main module are the tenant's as well.
 */
static List *
model_schemas(const TenancyModule *module, bool for_tenant)
{
	TenancyModule *first = for_tenant ? main_module(module) : NULL;

	if (first == NULL)
		return list_make1(pstrdup(module->model_schema));
	return list_make2(pstrdup(module->model_schema), first->model_schema);
}

/* Does an extension have its objects in a schema? */
static bool
is_extension_home(Oid namespace)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace == namespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Write the statements that make the module's model schema in a schema, with
 * m filled in as far as the arguments go.
 */
static void
generate(Model *m, const TenancyModule *module, const TenancyTenant *tenant, const char *schema)
{
	TenancyModule *first = tenant ? main_module(module) : NULL;
	TenancyExec exec;

	/* Blocks that malloc() keeps for what comes after: the system's pages are slow when new. */
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy model",
												  ALLOCSET_DEFAULT_MINSIZE, ALLOCSET_DEFAULT_INITSIZE,
												  64 * 1024);

	memset(m, 0, sizeof(*m));
	m->module = module;
	m->tenant = tenant ? &tenant->id : NULL;
	m->schema = schema;
	m->result_context = CurrentMemoryContext;
	m->scratch = AllocSetContextCreate(context, "tenancy scratch", ALLOCSET_DEFAULT_SIZES);
	m->owner = tenancy_registry_module_owner(module);
	tenancy_registry_refuse_superuser(module->model_schema, m->owner);
	tenancy_module_ensure_owner(m->owner);
	m->namespace = tenancy_registry_model_schema(module);
	if (first != NULL)
	{
		m->main_namespace = tenancy_registry_model_schema(first);
		m->main_schema = tenant_schema(tenant, first);
		m->has_extension_members = is_extension_home(m->main_namespace);
	}
	m->registry_tenant = tenancy_registry_relation("tenant");

	tenancy_exec_begin(&exec, m->owner, path_of(model_schemas(module, tenant != NULL)));
	MemoryContextSwitchTo(context);
	m->by_address = create_address_hash();
	read_protected(m);
	lock_and_open(m);
	tenancy_clone_read_members(m);
	tenancy_clone_check_refused(m);
	tenancy_clone_begin_privileges(m);
	tenancy_clone_copy_database_defaults(m);
	tenancy_clone_place_all(m);
	place_rest(m);
	tenancy_clone_check_refused(m);
	tenancy_clone_warn_of_other_owners(m);
	tenancy_clone_close_catalogs(&m->catalogs);
	tenancy_exec_end(&exec);
	MemoryContextDelete(context);
}

/*
 * The statements that make a module's model schema as it is, as a List of
 * TenancyCloneStatements.  They are to be run as the module owner, with the
 * new schema first on the path, unless they are elevated.
 */
List *
tenancy_clone_statements(const TenancyModule *module)
{
	Model		m;

	generate(&m, module, NULL, module->model_schema);
	return m.statements;
}

/*
 * Take away what the owner's default privileges for schemas, which are meant for
 * those that it creates itself, have given to others, and give it what is its own.
 */
static void
reset_schema_privileges(const char *schema, Oid owner)
{
	Acl		   *born = get_user_default_acl(OBJECT_SCHEMA, owner, InvalidOid);

	if (born == NULL)
		return;
	for (int i = 0; i < ACL_NUM(born); i++)
	{
		Oid			role = ACL_DAT(born)[i].ai_grantee;

		if (role != owner)
			tenancy_exec_format_as(tenancy_registry_owner(),
								   "REVOKE ALL ON SCHEMA %s FROM %s", quote_identifier(schema),
								   role == ACL_ID_PUBLIC ? "PUBLIC" : tenancy_clone_role_identifier(role));
	}
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "GRANT ALL ON SCHEMA %s TO %s",
						   quote_identifier(schema), tenancy_clone_role_identifier(owner));
}

/* Create a schema for the owner.  Whatever has its name already is not ours. */
static void
create_schema(const char *schema, Oid owner)
{
	if (OidIsValid(get_namespace_oid(schema, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", schema),
				 errhint("Rename or drop the schema, or give the tenant another slug.")));
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "CREATE SCHEMA %s AUTHORIZATION %s",
						   quote_identifier(schema), tenancy_clone_role_identifier(owner));
	reset_schema_privileges(schema, owner);
}

/* Add the roles that may act for a tenant, or (NULL) for all of them. */
static List *
add_access_roles(List *roles, const pg_uuid_t *tenant)
{
	Relation	rel = table_open(tenancy_registry_relation("access"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (tenant != NULL)
		ScanKeyInit(&key, Anum_access_tenant_id, BTEqualStrategyNumber, F_UUID_EQ,
					UUIDPGetDatum(tenant));
	else
		ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNULL, Anum_access_tenant_id,
							   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	scan = systable_beginscan(rel, tenancy_registry_relation("access_tenant_id_role_key"),
							  true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			role = DatumGetObjectId(heap_getattr(tuple, Anum_access_role,
														 RelationGetDescr(rel), &isnull));

		/* Dropping a role leaves its rows behind. */
		if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
			roles = list_append_unique_oid(roles, role);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return roles;
}

/*
 * Let the roles that may act for the tenant into its schema, or the model that
 * it shares.  To be called between tenancy_exec_begin() and tenancy_exec_end(),
 * as a role that may grant it.
 */
void
tenancy_clone_grant_usage(const char *schema, const pg_uuid_t *tenant)
{
	List	   *roles = add_access_roles(add_access_roles(NIL, tenant), NULL);
	StringInfoData list;
	ListCell   *lc;

	if (roles == NIL)
		return;
	initStringInfo(&list);
	foreach(lc, roles)
		appendStringInfo(&list, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 tenancy_clone_role_identifier(lfirst_oid(lc)));
	tenancy_exec_format("GRANT USAGE ON SCHEMA %s TO %s", quote_identifier(schema), list.data);
}

/* Run REFRESH MATERIALIZED VIEW as the owner, who is bound by the policies on its tables. */
static void
refresh(const char *sql, Oid owner, const char *path, const pg_uuid_t *tenant)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, owner, path);
	tenancy_context_act(tenant);
	tenancy_exec_sql(sql);
	tenancy_context_act_end();
	tenancy_exec_end(&exec);
}

/* A statement of a copy that is running, in a text of all of them. */
typedef struct Running
{
	const char *script;
	const RawStmt *parsed;
} Running;

/* Say of an error in which statement it is, as SPI does. */
static void
running_callback(void *arg)
{
	const Running *running = arg;
	char	   *sql = pnstrdup(running->script + running->parsed->stmt_location, running->parsed->stmt_len);
	int			position = geterrposition() -
		pg_mbstrlen_with_len(running->script, running->parsed->stmt_location);

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(sql);
	}
	else
		errcontext("SQL statement \"%s\"", sql);
}

/*
 * The tables of a copy are empty: their foreign keys need no look at the rows, with
 * ALTER TABLE as with CREATE TABLE.  Those that lead out of it come when row security
 * would hide the rows that a move has brought, and are checked by the move.
 */
static void
skip_validation(Node *statement)
{
	ListCell   *lc;

	if (!IsA(statement, AlterTableStmt))
		return;
	foreach(lc, ((AlterTableStmt *) statement)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddConstraint && castNode(Constraint, cmd->def)->contype == CONSTR_FOREIGN)
			castNode(Constraint, cmd->def)->skip_validation = true;
	}
}

/* As SPI does with a statement that needs no more analysis. */
static void
run_utility(const char *script, const RawStmt *parsed)
{
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = parsed->stmt;
	planned->stmt_location = parsed->stmt_location;
	planned->stmt_len = parsed->stmt_len;
	ProcessUtility(planned, script, false, PROCESS_UTILITY_QUERY, NULL, NULL, None_Receiver, NULL);
	CommandCounterIncrement();
}

/* Run a statement that has been parsed; is there somebody who is to see it as it is? */
static void
run_parsed(const char *script, RawStmt *parsed, bool wall, bool watched, MemoryContext context)
{
	Running		running = {script, parsed};
	ErrorContextCallback callback = {error_context_stack, running_callback, &running};
	MemoryContext old = MemoryContextSwitchTo(context);

	error_context_stack = &callback;
	CHECK_FOR_INTERRUPTS();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (wall && !watched)
		tenancy_clone_put_up_wall(parsed->stmt);
	else
	{
		if (!watched)
			skip_validation(parsed->stmt);
		run_utility(script, parsed);
	}
	PopActiveSnapshot();
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	MemoryContextReset(context);
}

/* Run a statement by SPI, with what has been put up before in place. */
static void
run_statement(const Model *m, const TenancyCloneStatement *statement, const char *path)
{
	TenancyExec exec;

	CommandCounterIncrement();
	if (statement->refresh)
		refresh(statement->sql, m->owner, path, m->tenant);
	else if (statement->elevated)
	{
		tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
		tenancy_exec_sql(statement->sql);
		tenancy_exec_end(&exec);
	}
	else
		tenancy_exec_sql(statement->sql);
}

/*
 * Parse statements, all at once: in between, what they do would put the parser's large
 * tables out of the processor's caches.
 */
static List *
parse_statements(List *statements, char **script)
{
	StringInfoData buf;
	List	   *parsed;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, statements)
		appendStringInfo(&buf, "%s;", ((TenancyCloneStatement *) lfirst(lc))->sql);
	parsed = pg_parse_query(buf.data);
	if (list_length(parsed) != list_length(statements))
		elog(ERROR, "definition of a copy has %d statements, expected %d",
			 list_length(parsed), list_length(statements));
	*script = buf.data;
	return parsed;
}

/* Run the statements of a copy, between tenancy_exec_begin() and tenancy_exec_end(). */
static void
run_statements(const Model *m, const char *path)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy statement",
												  ALLOCSET_DEFAULT_SIZES);
	bool		watched = tenancy_exec_is_watched();
	char	   *script;
	List	   *parsed = parse_statements(m->statements, &script);
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, m->statements, lc2, parsed)
	{
		TenancyCloneStatement *statement = lfirst(lc);
		RawStmt    *raw = lfirst(lc2);

		if (statement->refresh || statement->elevated || analyze_requires_snapshot(raw))
			run_statement(m, statement, path);
		else
			run_parsed(script, raw, statement->wall, watched, context);
	}
	CommandCounterIncrement();
	MemoryContextDelete(context);
}

/* Has this session been told before?  From now on it has. */
static bool
is_told(const char *what)
{
	static List *told = NIL;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, told)
	{
		if (strcmp(lfirst(lc), what) == 0)
			return true;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	told = lappend(told, pstrdup(what));
	MemoryContextSwitchTo(old);
	return false;
}

/*
 * May a model be named by a text in the statements of a copy?  They have what is
 * defined by expressions as all else.
 */
static bool
may_name_model(const Model *m)
{
	const char *main_schema = OidIsValid(m->main_namespace) ? get_namespace_name(m->main_namespace) : NULL;
	ListCell   *lc;

	foreach(lc, m->statements)
	{
		const char *sql = ((TenancyCloneStatement *) lfirst(lc))->sql;

		if (strncmp(sql, "COMMENT ", strlen("COMMENT ")) != 0 &&
			(tenancy_clone_statement_names(sql, m->module->model_schema) ||
			 (main_schema != NULL && tenancy_clone_statement_names(sql, main_schema))))
			return true;
	}
	return false;
}

/* What in the model has texts in its definition that name a model, in words. */
static char *
describe_texts(const Model *m)
{
	List	   *objects = tenancy_exec_list_as(tenancy_registry_owner(),
											   psprintf("SELECT DISTINCT object COLLATE pg_catalog.\"C\" FROM tenancy.names_in_definitions(%u) ORDER BY 1", m->namespace));

	return objects ? tenancy_ident_enumerate(objects) : NULL;
}

/*
 * Say once in a session, and again when there are others, on what nobody gets
 * the privileges that the model gives, and what a tenant's copy has that leads to
 * the model.
 */
static void
give_notice(const Model *m, bool look)
{
	char	   *texts = look ? describe_texts(m) : NULL;
	char	   *withheld = m->withheld ? tenancy_ident_enumerate(m->withheld) : NULL;
	char	   *functions = m->names_model ? tenancy_ident_enumerate(m->names_model) : NULL;

	if (withheld != NULL && !is_told(psprintf("%s withholds %s", m->module->name, withheld)))
		ereport(NOTICE,
				(errmsg("privileges on materialized views of model schema \"%s\" are withheld in tenants' schemas",
						m->module->model_schema),
				 errdetail("There is no row security for materialized views. Only role %s, which owns them, has privileges on %s.",
						   tenancy_clone_role_identifier(m->owner), withheld),
				 errhint("Let a SECURITY DEFINER function hand out those of their rows that belong to the tenant in context.")));
	if (functions != NULL && !is_told(psprintf("%s has %s", m->module->name, functions)))
		ereport(NOTICE,
				(errmsg("functions of model schema \"%s\" name it in their bodies, and do so in tenants' schemas",
						m->module->model_schema),
				 errdetail("Names are replaced in queries of the language SQL only. The bodies of these have others: %s.", functions),
				 errhint("Do not qualify names in them; give them a search_path that names the model schema, which follows into copies.")));
	if (texts != NULL && !is_told(psprintf("%s has %s", m->module->name, texts)))
		ereport(NOTICE,
				(errmsg("definitions in model schema \"%s\" have texts that name a model schema, and do so in tenants' schemas",
						m->module->model_schema),
				 errdetail("Copies have the texts in these as they are: %s.", texts),
				 errhint("Do not qualify names in texts, or write constants of type regclass, regproc and the like, which follow into copies.")));
}

/*
 * Fill a tenant's materialized views again, those that had been filled: its rows
 * have come by other ways than through its application.
 */
void
tenancy_clone_refresh(const TenancyTenant *tenant)
{
	List	   *schemas = tenancy_registry_schemas(tenant);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, schemas)
	{
		char	   *schema = lfirst(lc);
		List	   *trusted = tenancy_registry_trusted(schemas, tenancy_registry_schema_owner(schema));
		char	   *path = path_of(lcons(schema, trusted));

		foreach(lc2, tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
			"SELECT c.oid FROM pg_catalog.pg_depend d"
			" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid"
			" WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
			" AND d.refobjid OPERATOR(pg_catalog.=) %u AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
			" AND c.relkind OPERATOR(pg_catalog.=) 'm' AND c.relispopulated ORDER BY c.oid",
			get_namespace_oid(schema, false))))
		{
			Oid			relid = atooid(lfirst(lc2));
			HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
			Oid			owner;
			char	   *name;

			if (!HeapTupleIsValid(tuple))
				continue;		/* dropped meanwhile */
			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
			ReleaseSysCache(tuple);
			name = quote_qualified_identifier(schema, get_rel_name(relid));
			tenancy_exec_refuse_superuser(owner, name);
			refresh(psprintf("REFRESH MATERIALIZED VIEW %s", name), owner, path, &tenant->id);
		}
	}
}

/*
 * A plug-in whose owner is not the main module's refers to the tenant's tables
 * as it does to the model's, if it may use that.
 */
static void
grant_plugin_owner(const TenancyTenant *tenant, const TenancyModule *first, Oid owner)
{
	char	   *schema = tenancy_registry_schema(tenant, first);
	Oid			first_owner = tenancy_registry_schema_owner(schema);

	if (first_owner == owner || !OidIsValid(first_owner) ||
		tenancy_namespace_aclcheck(tenancy_registry_model_schema(first), owner, ACL_USAGE) != ACLCHECK_OK)
		return;
	tenancy_exec_format_as(first_owner,
						   "GRANT USAGE ON SCHEMA %s TO %s", quote_identifier(schema), tenancy_clone_role_identifier(owner));
}

/*
 * Lock the catalogs that the statements of a copy read and write again and again,
 * as they do themselves.  A lock that is held is had again without a look at what
 * all sessions share, which is a tenth of what a copy takes.  Only who rewrites a
 * catalog waits for it.
 */
static void
hold_catalogs(bool hold)
{
	static const Oid catalogs[] = {
		AttrDefaultRelationId, AttributeRelationId, ConstraintRelationId, DependRelationId,
		IndexRelationId, InheritsRelationId, PolicyRelationId, RelationRelationId,
		SequenceRelationId, SharedDependRelationId, TriggerRelationId, TypeRelationId
	};
	static const LOCKMODE modes[] = {AccessShareLock, RowExclusiveLock};

	for (int i = 0; i < lengthof(catalogs); i++)
	{
		Relation	rel = table_open(catalogs[i], AccessShareLock);
		List	   *relids = lcons_oid(catalogs[i], RelationGetIndexList(rel));
		ListCell   *lc;

		foreach(lc, relids)
		{
			for (int j = 0; j < lengthof(modes); j++)
			{
				if (hold)
					LockRelationOid(lfirst_oid(lc), modes[j]);
				else
					UnlockRelationOid(lfirst_oid(lc), modes[j]);
			}
		}
		list_free(relids);
		table_close(rel, AccessShareLock);
	}
}

/*
 * Create a tenant's copy of a module, in a schema of its own, without the foreign keys
 * that lead out of it.  Definitions name members of extensions that are in the model
 * schema without a schema, so that it must be on the path then, after the copy's.
 */
TenancyCloneKeys *
tenancy_clone_schema_without_keys(const TenancyTenant *tenant, const TenancyModule *module)
{
	TenancyCloneKeys *keys = palloc0(sizeof(TenancyCloneKeys));
	char	   *schema = tenancy_registry_schema(tenant, module);
	List	   *schemas = list_make1(schema);
	TenancyModule *first = main_module(module);
	TenancyExec exec;
	bool		look;
	Model		m;

	tenancy_registry_lock_models(ShareLock);
	hold_catalogs(true);
	generate(&m, module, tenant, schema);
	create_schema(schema, m.owner);
	tenancy_registry_add_copy(&tenant->id, module->name);

	if (first != NULL)
	{
		schemas = lappend(schemas, tenancy_registry_schema(tenant, first));
		grant_plugin_owner(tenant, first, m.owner);
	}
	if (m.has_extension_members)
		schemas = list_concat(schemas, model_schemas(module, true));
	keys->owner = m.owner;
	keys->path = path_of(schemas);
	keys->statements = m.outside_keys;
	keys->referenced = m.referenced;
	tenancy_exec_begin(&exec, m.owner, keys->path);
	tenancy_exec_set("client_min_messages", "warning");

	/* The tables are empty: nothing to plan for the building of an index. */
	tenancy_exec_set("max_parallel_maintenance_workers", "0");
	run_statements(&m, keys->path);
	tenancy_clone_grant_usage(schema, &tenant->id);
	tenancy_exec_end(&exec);
	hold_catalogs(false);
	look = may_name_model(&m);
	list_free_deep(m.statements);
	give_notice(&m, look);
	return keys;
}

/* Run the statements that add a copy's foreign keys that lead out of it. */
static void
run_outside_keys(const TenancyCloneKeys *keys)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy statement",
												  ALLOCSET_DEFAULT_SIZES);
	TenancyExec exec;
	char	   *script;
	ListCell   *lc;

	tenancy_exec_begin(&exec, keys->owner, keys->path);
	foreach(lc, parse_statements(keys->statements, &script))
		run_parsed(script, lfirst(lc), false, false, context);
	tenancy_exec_end(&exec);
	MemoryContextDelete(context);
}

/*
 * Add the foreign keys that lead out of copies that have just been made, a list of
 * TenancyCloneKeys, without a look at the rows.  The tables that they lead to are locked
 * against writers, and against others who do the same, from here to the end of the
 * transaction: this comes last.  All of them are locked at once and in the order of their OIDs, as by
 * everybody, so that no two wait for each other; partitions, to which PostgreSQL goes
 * on, included.
 */
void
tenancy_clone_add_keys(List *copies)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, copies)
	{
		ListCell   *lc2;

		foreach(lc2, ((TenancyCloneKeys *) lfirst(lc))->referenced)
			tables = list_concat_unique_oid(tables, get_rel_relkind(lfirst_oid(lc2)) == RELKIND_PARTITIONED_TABLE ?
											find_all_inheritors(lfirst_oid(lc2), NoLock, NULL) :
											list_make1_oid(lfirst_oid(lc2)));
	}
	list_sort(tables, list_oid_cmp);
	foreach(lc, tables)
		LockRelationOid(lfirst_oid(lc), ShareRowExclusiveLock);
	foreach(lc, copies)
		run_outside_keys(lfirst(lc));
}

/* Create a tenant's copy of a module. */
void
tenancy_clone_schema(const TenancyTenant *tenant, const TenancyModule *module)
{
	tenancy_clone_add_keys(list_make1(tenancy_clone_schema_without_keys(tenant, module)));
}


/* ----------------------------------------------------------------
 * Renaming
 * ----------------------------------------------------------------
 */

/* The search_path of a function with that setting, without its name. */
static char *
function_path(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	bool		isnull;
	Datum		config;
	Datum	   *values;
	int			count;
	char	   *path = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", oid);
	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *setting = TextDatumGetCString(values[i]);

		if (strncmp(setting, "search_path=", strlen("search_path=")) == 0)
			path = setting + strlen("search_path=");
	}
	ReleaseSysCache(tuple);
	return path;
}

/*
 * May this role change a function?  One of somebody else's, whom the module owner
 * does not act for, goes on naming a schema.
 */
static bool
may_change(Oid role, Oid function, const char *from)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	if (has_privs_of_role(role, owner))
		return true;
	ereport(WARNING,
			(errmsg("function %s goes on naming schema \"%s\"", format_procedure_qualified(function), from),
			 errdetail("It belongs to role \"%s\", and not to the owner of the module, \"%s\".",
					   GetUserNameFromId(owner, false), GetUserNameFromId(role, false)),
			 errhint("Replace the name in it, or give it to that role.")));
	return false;
}

/*
 * Replace a schema's name in the body of a function of the language SQL by
 * another.  The rest of its definition stays as it is.
 */
static void
rewrite_function(Oid oid, Oid owner, const char *from, const char *to)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	char	   *definition;
	char	   *body;
	char	   *rewritten;
	char	   *start;
	bool		isnull;
	bool		left;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", oid);
	body = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull));
	ReleaseSysCache(tuple);
	rewritten = tenancy_clone_rewrite_body(body, SQLlanguageId, from, to, &left);
	if (strcmp(rewritten, body) == 0 || !may_change(owner, oid, from))
		return;

	/* The body follows "AS $function$" or the like, as nothing before does. */
	definition = TextDatumGetCString(DirectFunctionCall1(pg_get_functiondef, ObjectIdGetDatum(oid)));
	for (start = strstr(definition, "AS $"); start != NULL; start = strstr(start + 1, "AS $"))
	{
		char	   *tag = strchr(start + strlen("AS $"), '$');

		if (tag != NULL && strncmp(tag + 1, body, strlen(body)) == 0)
		{
			tenancy_exec_format("%s%s%s", pnstrdup(definition, tag + 1 - definition), rewritten,
								tag + 1 + strlen(body));
			return;
		}
	}
	elog(ERROR, "unexpected definition of function %u: %s", oid, definition);
}

/*
 * The functions in a tenant's schema may name a schema in place of which there is
 * another one now: the model of a copy, or a copy that was renamed.  Let them
 * follow, by their search_path and, in the language SQL, their bodies.
 */
void
tenancy_clone_follow(const char *schema, Oid owner, const char *from, const char *to)
{
	TenancyExec exec;
	List	   *functions;
	ListCell   *lc;

	tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
	functions = tenancy_exec_text_list(&exec,
									   psprintf("SELECT p.oid FROM pg_catalog.pg_depend d"
												" JOIN pg_catalog.pg_proc p ON p.oid = d.objid"
												" WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass"
												" AND d.refobjid = %u AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
												" AND EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) s"
												"  WHERE pg_catalog.starts_with(s, 'search_path='))",
												get_namespace_oid(schema, false)));
	foreach(lc, functions)
	{
		Oid			oid = atooid(lfirst(lc));
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "ALTER ROUTINE %s SET search_path TO ",
						 format_procedure_qualified(oid));
		if (tenancy_clone_append_names(&sql, "search_path", function_path(oid), from, to) &&
			may_change(owner, oid, from))
			tenancy_exec_sql(sql.data);
	}
	functions = tenancy_exec_text_list(&exec,
									   psprintf("SELECT p.oid FROM pg_catalog.pg_depend d"
												" JOIN pg_catalog.pg_proc p ON p.oid = d.objid"
												" WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass"
												" AND d.refobjid = %u AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
												" AND p.prolang = %u AND p.prosqlbody IS NULL AND p.prokind IN ('f', 'p')"
												" AND (pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower(%s)) > 0"
												" OR pg_catalog.strpos(p.prosrc, pg_catalog.quote_ident(%s)) > 0)",
												get_namespace_oid(schema, false), SQLlanguageId,
												quote_literal_cstr(from), quote_literal_cstr(from)));
	foreach(lc, functions)
		rewrite_function(atooid(lfirst(lc)), owner, from, to);
	tenancy_exec_end(&exec);
}
