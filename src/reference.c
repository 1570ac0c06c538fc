/*-------------------------------------------------------------------------
 *
 * reference.c
 *	  Reference tables: what they are, and their way to a tenant's database.
 *
 * A reference table is a table of the application's database, outside of all
 * model schemas, that tenants' tables point at.  A tenant's own database has a
 * copy of it under the same name, which nobody writes to but us.  A copy is what
 * readers and foreign keys see of the table: its columns, their types and NOT
 * NULLs, its keys, its indexes over columns, the foreign keys between reference
 * tables, comments, the owner, and who may read it.  What only matters to
 * whoever writes stays behind: defaults, identities and sequences, generation
 * expressions (their values are copied), checks, triggers, rules.  So there is
 * no code in a copy, whatever the table calls.
 *
 * The definition is a JSON object that one query writes from the catalogs, here
 * and in the tenant's database (reference_apply.c), so that the two can be
 * compared.  Rows go through files, as a tenant's own do: a worker writes those of
 * all reference tables as of one moment, each table's as its owner, restricted,
 * and one worker in each tenant's database compares and applies.
 *
 * Of rows, what is committed counts; of definitions, what the caller sees.  The
 * tables are locked as for reading, before the snapshot is taken that their rows
 * are read with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "commands/copy.h"
#include "compat.h"
#include "exec.h"
#include "executor/spi.h"
#include "file.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "reference.h"
#include "registry.h"
#include "rows.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "worker.h"

PGDLLEXPORT void tenancy_reference_export_main(const char *argument);


/* ----------------------------------------------------------------
 * Definitions
 * ----------------------------------------------------------------
 */

/* The owners of models and reference tables, whose foreign keys need rights. */
#define OWNERS \
	"(SELECT n.nspowner FROM tenancy.module m" \
	"  JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema" \
	" UNION SELECT c.relowner FROM tenancy.reference_table r" \
	"  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation) AS o (owner)"

/* Who may use the schema: whoever may here. */
#define USAGE_OF_SCHEMA \
	"(SELECT pg_catalog.jsonb_agg(u.role ORDER BY u.role) FROM" \
	" (SELECT " TENANCY_REFERENCE_ROLE("a.grantee") " AS role FROM pg_catalog.aclexplode(n.nspacl) a" \
	"   WHERE a.privilege_type OPERATOR(pg_catalog.=) 'USAGE'" \
	"  UNION SELECT " TENANCY_REFERENCE_ROLE("o.owner") " FROM " OWNERS \
	"   WHERE pg_catalog.has_schema_privilege(o.owner, n.oid, 'USAGE')) u)"

/*
 * Who may read the table: whoever may here.  And those who let their tables
 * refer to it may do that there, too, and look whether the rows are right.
 */
#define GRANTS_OF_TABLE \
	"(SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_object('role', g.role, 'privilege', g.privilege, 'column', g.col)) FROM" \
	" (SELECT " TENANCY_REFERENCE_ROLE("a.grantee") " AS role, a.privilege_type AS privilege, NULL::pg_catalog.name AS col" \
	"   FROM pg_catalog.aclexplode(c.relacl) a" \
	"   WHERE a.privilege_type OPERATOR(pg_catalog.=) 'SELECT' AND a.grantee OPERATOR(pg_catalog.<>) c.relowner" \
	"  UNION SELECT " TENANCY_REFERENCE_ROLE("a.grantee") ", a.privilege_type, t.attname" \
	"   FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) a" \
	"   WHERE t.attrelid OPERATOR(pg_catalog.=) c.oid AND t.attnum OPERATOR(pg_catalog.>) 0 AND NOT t.attisdropped" \
	"   AND a.privilege_type OPERATOR(pg_catalog.=) 'SELECT' AND a.grantee OPERATOR(pg_catalog.<>) c.relowner" \
	"  UNION SELECT " TENANCY_REFERENCE_ROLE("o.owner") ", p.privilege, NULL" \
	"   FROM " OWNERS ", (VALUES ('SELECT'), ('REFERENCES')) AS p (privilege)" \
	"   WHERE o.owner OPERATOR(pg_catalog.<>) c.relowner" \
	"   AND pg_catalog.has_any_column_privilege(o.owner, c.oid, 'REFERENCES')) g)"

#define COLUMNS_OF_TABLE \
	"(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('number', a.attnum, 'name', a.attname," \
	"  'type', pg_catalog.format_type(a.atttypid, a.atttypmod)," \
	"  'collated', CASE WHEN a.attcollation OPERATOR(pg_catalog.<>) t.typcollation" \
	"   THEN pg_catalog.format('%%I.%%I', ln.nspname, l.collname) END," \
	"  'required', a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid" \
	"   AND k.contype OPERATOR(pg_catalog.=) 'n' AND k.conkey OPERATOR(pg_catalog.=) ARRAY[a.attnum] AND NOT k.convalidated)," \
	"  'comment', pg_catalog.col_description(c.oid, a.attnum)) ORDER BY a.attnum)" \
	" FROM pg_catalog.pg_attribute a" \
	" JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid" \
	" LEFT JOIN (pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace ln ON ln.oid OPERATOR(pg_catalog.=) l.collnamespace)" \
	"  ON l.oid OPERATOR(pg_catalog.=) a.attcollation" \
	" WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)"

/* The names of some index columns. */
#define INDEX_COLUMNS(which) \
	"(SELECT pg_catalog.jsonb_agg(DISTINCT a.attname) FROM pg_catalog.pg_index i" \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid" \
	"  AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey[0:i.indnkeyatts OPERATOR(pg_catalog.-) 1])" \
	" WHERE " which ")"

/* The key by which rows are compared: the primary one, or the replica identity. */
#define KEY_INDEX \
	"(SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid" \
	" AND i.indisunique AND (i.indisprimary OR i.indisreplident) AND " TENANCY_REFERENCE_INDEX \
	" ORDER BY i.indisprimary DESC LIMIT 1)"

/* How its columns are compared, for a join that need not look at each pair of rows. */
#define KEY_OPERATORS \
	"(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', a.attname," \
	"  'operator', pg_catalog.format('OPERATOR(%%I.%%s)', opn.nspname, o.oprname)))" \
	" FROM pg_catalog.pg_index i CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey), pg_catalog.unnest(i.indclass)) AS u (attnum, opclass)" \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) u.attnum" \
	" JOIN pg_catalog.pg_opclass q ON q.oid OPERATOR(pg_catalog.=) u.opclass" \
	" JOIN pg_catalog.pg_amop p ON p.amopfamily OPERATOR(pg_catalog.=) q.opcfamily AND p.amopstrategy OPERATOR(pg_catalog.=) 3" \
	"  AND p.amoplefttype OPERATOR(pg_catalog.=) q.opcintype AND p.amoprighttype OPERATOR(pg_catalog.=) q.opcintype" \
	" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) p.amopopr" \
	" JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) o.oprnamespace" \
	" WHERE i.indexrelid OPERATOR(pg_catalog.=) " KEY_INDEX ")"

#define CONSTRAINTS_OF_TABLE(condition) \
	"(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', k.conname," \
	"  'definition', pg_catalog.pg_get_constraintdef(k.oid)) ORDER BY k.conname)" \
	" FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND " condition ")"

#define KEYS_OF_TABLE \
	CONSTRAINTS_OF_TABLE("k.contype IN ('p', 'u') AND EXISTS (SELECT FROM pg_catalog.pg_index i" \
						 " WHERE i.indexrelid OPERATOR(pg_catalog.=) k.conindid AND " TENANCY_REFERENCE_INDEX ")")

#define FOREIGN_KEYS_OF_TABLE \
	CONSTRAINTS_OF_TABLE("k.contype OPERATOR(pg_catalog.=) 'f' AND k.conparentid OPERATOR(pg_catalog.=) 0" \
						 " AND k.confrelid OPERATOR(pg_catalog.=) ANY (SELECT relation FROM tenancy.reference_table)")

#define INDEXES_OF_TABLE \
	"(SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', x.relname," \
	"  'definition', pg_catalog.pg_get_indexdef(x.oid)) ORDER BY x.relname)" \
	" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid" \
	" WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND " TENANCY_REFERENCE_INDEX \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid OPERATOR(pg_catalog.=) x.oid" \
	"  AND k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype IN ('p', 'u', 'x')))"

#define DEFINITION \
	"pg_catalog.jsonb_build_object('oid', c.oid, 'schema', n.nspname, 'table', c.relname," \
	" 'owner', pg_catalog.pg_get_userbyid(c.relowner), 'schema_owner', pg_catalog.pg_get_userbyid(n.nspowner)," \
	" 'comment', pg_catalog.obj_description(c.oid, 'pg_class')," \
	" 'usage', COALESCE(" USAGE_OF_SCHEMA ", '[]'), 'grants', COALESCE(" GRANTS_OF_TABLE ", '[]')," \
	" 'columns', COALESCE(" COLUMNS_OF_TABLE ", '[]')," \
	" 'key', " INDEX_COLUMNS("i.indexrelid OPERATOR(pg_catalog.=) " KEY_INDEX) "," \
	" 'equal', " KEY_OPERATORS ", 'distinct', " INDEX_COLUMNS("i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisunique AND " TENANCY_REFERENCE_INDEX) "," \
	" 'keys', COALESCE(" KEYS_OF_TABLE ", '[]'), 'indexes', COALESCE(" INDEXES_OF_TABLE ", '[]')," \
	" 'foreign_keys', COALESCE(" FOREIGN_KEYS_OF_TABLE ", '[]'))"

/* The text of a query's first value, as the extension's owner. */
#define query_text(...) tenancy_exec_text_as(tenancy_registry_owner(), __VA_ARGS__)


/* ----------------------------------------------------------------
 * What can be a reference table
 * ----------------------------------------------------------------
 */

static char *
table_label(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

static void refuse(Oid relid, const char *detail, const char *hint) pg_attribute_noreturn();

static void
refuse(Oid relid, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table \"%s\" cannot be a reference table", table_label(relid)),
			 errdetail_internal("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/* The kind of the relation, and where it is. */
static void
check_place(Oid relid)
{
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	char		kind = get_rel_relkind(relid);
	char	   *flaw;

	if (kind == RELKIND_PARTITIONED_TABLE)
		refuse(relid, _("It is partitioned."), NULL);
	if (kind != RELKIND_RELATION)
		refuse(relid, _("It is not a table."), NULL);
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" cannot be a reference table", get_rel_name(relid)),
				 errdetail("It is temporary.")));
	if (IsCatalogRelationOid(relid) || IsReservedName(schema) || strcmp(schema, "information_schema") == 0 ||
		strcmp(schema, "tenancy") == 0 || OidIsValid(getExtensionOfObject(RelationRelationId, relid)))
		refuse(relid, _("It belongs to the system or to an extension."), NULL);
	if (strncmp(schema, "tenant_", strlen("tenant_")) == 0)
		refuse(relid, _("Its schema is named as a tenant's."), NULL);
	flaw = query_text("SELECT CASE"
					  " WHEN EXISTS (SELECT FROM tenancy.module m WHERE m.model_schema OPERATOR(pg_catalog.=) n.nspname) THEN 'm'"
					  " WHEN EXISTS (SELECT FROM tenancy.protected_table p WHERE p.relation OPERATOR(pg_catalog.=) c.oid) THEN 'p'"
					  " WHEN c.relispartition OR c.relhassubclass"
					  "  OR EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid) THEN 'i'"
					  " WHEN c.relrowsecurity THEN 'r' END"
					  " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
					  " WHERE c.oid OPERATOR(pg_catalog.=) %u", relid);
	if (flaw == NULL)
		return;
	switch (*flaw)
	{
		case 'm':
			refuse(relid, _("Its schema is the model schema of a module."),
				   _("Use ALTER TABLE ... SET SCHEMA."));
		case 'p':
			refuse(relid, _("It is protected: its rows are tenants'."), NULL);
		case 'i':
			refuse(relid, _("It is a partition, or has inheritance parents or children."), NULL);
		default:
			refuse(relid, _("It has row security, which its copies would not have."), NULL);
	}
}

/*
 * Everything in a tenant's database is done with the owner's rights, and the
 * copy must be read-only for those who act for tenants.
 */
static void
check_owner(Oid relid)
{
	char	   *role;

	role = query_text("SELECT a.rolname FROM pg_catalog.pg_class c"
					  " JOIN pg_catalog.pg_authid a ON a.oid OPERATOR(pg_catalog.=) c.relowner"
					  " WHERE c.oid OPERATOR(pg_catalog.=) %u AND a.rolsuper", relid);
	if (role != NULL)
		refuse(relid, psprintf(_("Its owner, role \"%s\", is a superuser, whose rights must not reach tenants' databases."), role),
			   _("Use ALTER TABLE ... OWNER TO a role with NOLOGIN."));
	role = query_text("SELECT a.rolname FROM pg_catalog.pg_class c, tenancy.access x"
					  " JOIN pg_catalog.pg_authid a ON a.oid OPERATOR(pg_catalog.=) x.role"
					  " WHERE c.oid OPERATOR(pg_catalog.=) %u AND NOT a.rolsuper"
					  " AND pg_catalog.pg_has_role(a.oid, c.relowner, 'MEMBER') LIMIT 1", relid);
	if (role != NULL)
		refuse(relid, psprintf(_("Role \"%s\", which may act for tenants, owns it or can become its owner."), role),
			   _("Use ALTER TABLE ... OWNER TO another role, with NOLOGIN."));
}

/* The objects that a copy would need and cannot have. */
static void
check_needs(Oid relid)
{
	char	   *column;
	char	   *constraint;

	column = query_text("WITH RECURSIVE used (attname, oid) AS ("
						" SELECT a.attname, a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) %u"
						"  AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped"
						" UNION SELECT u.attname, t.typelem FROM used u JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) u.oid"
						"  WHERE t.typcategory OPERATOR(pg_catalog.=) 'A' AND t.typtype OPERATOR(pg_catalog.=) 'b')"
						" SELECT pg_catalog.string_agg(pg_catalog.format('%%I %%s', u.attname, pg_catalog.format_type(t.oid, NULL)), ', ' ORDER BY u.attname)"
						" FROM used u JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) u.oid"
						" WHERE t.typnamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace"
						" AND NOT (t.typcategory OPERATOR(pg_catalog.=) 'A' AND t.typtype OPERATOR(pg_catalog.=) 'b')"
						" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass"
						"  AND d.objid OPERATOR(pg_catalog.=) t.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')", relid);
	if (column != NULL)
		refuse(relid, psprintf(_("Types of these columns are neither PostgreSQL's nor an extension's: %s."), column),
			   _("Use types of PostgreSQL or of an extension: text with a check in place of an enum, say."));
	column = query_text("SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ') FROM pg_catalog.pg_attribute a"
						" JOIN pg_catalog.pg_collation l ON l.oid OPERATOR(pg_catalog.=) a.attcollation"
						" WHERE a.attrelid OPERATOR(pg_catalog.=) %u AND a.attnum OPERATOR(pg_catalog.>) 0"
						" AND l.collnamespace OPERATOR(pg_catalog.<>) 'pg_catalog'::pg_catalog.regnamespace", relid);
	if (column != NULL)
		refuse(relid, psprintf(_("The collations of these columns are not PostgreSQL's: %s."), column), NULL);
	if (query_text("SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) %u"
				   " AND " KEY_INDEX " IS NOT NULL", relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" cannot be a reference table", table_label(relid)),
				 errdetail("It has neither a primary key, that is not deferrable, nor a replica identity by an index."),
				 errhint("Its rows are compared by such a key: use ALTER TABLE ... ADD PRIMARY KEY.")));
	column = query_text("SELECT a.attname FROM pg_catalog.pg_attribute a JOIN tenancy.protected_table p ON p.tenant_column OPERATOR(pg_catalog.=) a.attname"
						" WHERE a.attrelid OPERATOR(pg_catalog.=) %u AND a.atttypid OPERATOR(pg_catalog.=) 'pg_catalog.uuid'::pg_catalog.regtype LIMIT 1", relid);
	if (column != NULL)
		refuse(relid, psprintf(_("Its column \"%s\" is like those that tell tenants' rows apart; all tenants would get all of its rows."), column),
			   _("Protect the table, or rename the column."));
	constraint = query_text("SELECT k.conname FROM pg_catalog.pg_constraint k"
							" JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) k.confrelid"
							" WHERE k.conrelid OPERATOR(pg_catalog.=) %u AND k.contype OPERATOR(pg_catalog.=) 'f'"
							" AND (p.relnamespace OPERATOR(pg_catalog.=) ANY (SELECT n.oid FROM tenancy.module m"
							"   JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema)"
							"  OR p.oid OPERATOR(pg_catalog.=) 'tenancy.tenant'::pg_catalog.regclass"
							"  OR p.oid OPERATOR(pg_catalog.=) ANY (SELECT t.relation FROM tenancy.protected_table t)) LIMIT 1", relid);
	if (constraint != NULL)
		refuse(relid, psprintf(_("Its foreign key \"%s\" points at tenants' rows, which others' databases do not have."), constraint), NULL);
}

/* Refuse a table that cannot be a reference table, by name of what stands against it. */
void
tenancy_reference_check(Oid relid)
{
	check_place(relid);
	check_owner(relid);
	check_needs(relid);
}

/*
 * A model whose foreign keys point at a table that tenants' databases will not
 * have cannot be made there.
 */
static void
check_models(void)
{
	char	   *table = query_text("SELECT pg_catalog.format('%%s %%s', k.confrelid, k.conname)"
								   " FROM tenancy.module m"
								   " JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
								   " CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " f"
								   " JOIN pg_catalog.pg_constraint k ON k.conrelid OPERATOR(pg_catalog.=) f.oid AND k.contype OPERATOR(pg_catalog.=) 'f'"
								   " JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) k.confrelid"
								   " WHERE NOT p.relnamespace OPERATOR(pg_catalog.=) ANY (SELECT n.oid FROM tenancy.module m"
								   "  JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema)"
								   " AND NOT EXISTS (SELECT FROM tenancy.reference_table r WHERE r.relation OPERATOR(pg_catalog.=) p.oid)"
								   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
								   "  WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
								   "  AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')"
								   " ORDER BY k.oid LIMIT 1");
	char	   *constraint;

	if (table == NULL)
		return;
	constraint = strchr(table, ' ');
	*constraint++ = '\0';
	table = table_label(atooid(table));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("foreign key \"%s\" of the model points at table \"%s\", which tenants' databases do not have",
					constraint, table),
			 errhint("Call tenancy.add_reference_table(%s).", quote_literal_cstr(table))));
}


/* ----------------------------------------------------------------
 * Rows, in a worker of this database
 * ----------------------------------------------------------------
 */

/* The members of the argument's tables that we need, before the moment that counts. */
static List *
read_tables(const char *argument)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *tables;
	List	   *copy = NIL;
	MemoryContext old;
	ListCell   *lc;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tables = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s %%s', t OPERATOR(pg_catalog.->>) 'oid',"
		" (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c OPERATOR(pg_catalog.->>) 'name'), ', ' ORDER BY n)"
		"  FROM pg_catalog.jsonb_array_elements(t OPERATOR(pg_catalog.->) 'columns') WITH ORDINALITY AS e (c, n)))"
		" FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb) t", quote_literal_cstr(argument)));
	old = MemoryContextSwitchTo(context);
	foreach(lc, tables)
		copy = lappend(copy, pstrdup(lfirst(lc)));
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return copy;
}

static void
export_table(Oid relid, const char *columns, const char *directory)
{
	const char *sql = psprintf("SELECT %s FROM ONLY %s", columns, table_label(relid));
	Oid			owner = atooid(query_text("SELECT relowner FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) %u", relid));
	ParseState *pstate = make_parsestate(NULL);
	TenancyExec exec;
	CopyToState state;

	pstate->p_sourcetext = sql;
	tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
	state = tenancy_begin_copy_to(pstate, linitial_node(RawStmt, pg_parse_query(sql)),
								  psprintf("%s/%u.copy", directory, relid),
								  list_make1(makeDefElem("encoding", (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1)));
	(void) DoCopyTo(state);
	EndCopyTo(state);
	tenancy_exec_end(&exec);
	free_parsestate(pstate);
}

/*
 * Write the rows of all reference tables, as of one moment; the argument is the
 * directory, a newline, and the definitions.  Locks come before the moment, so
 * that the columns are those of the definitions, or the query fails.
 */
void
tenancy_reference_export_main(const char *argument)
{
	const char *definitions = strchr(argument, '\n') + 1;
	char	   *directory = pnstrdup(argument, definitions - argument - 1);
	List	   *tables = read_tables(definitions);
	ListCell   *lc;

	SetConfigOption("default_transaction_isolation", "repeatable read", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION);
	StartTransactionCommand();
	foreach(lc, tables)
	{
		Oid			relid = atooid(lfirst(lc));

		LockRelationOid(relid, AccessShareLock);
		if (get_rel_name(relid) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("a reference table was created by a transaction that has not committed"),
					 errhint("Commit the transaction first.")));
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, tables)
		export_table(atooid(lfirst(lc)), strchr(lfirst(lc), ' ') + 1, directory);
	PopActiveSnapshot();
	CommitTransactionCommand();
}


/* ----------------------------------------------------------------
 * The caller's part
 * ----------------------------------------------------------------
 */

/*
 * Read the definitions of all reference tables: "[]" if there are none.  A table
 * that cannot be one any more is refused.
 */
void
tenancy_reference_begin(TenancyReferences *references)
{
	ListCell   *lc;

	references->tables = NIL;
	references->directory = NULL;
	foreach(lc, tenancy_exec_list_as(tenancy_registry_owner(),
									 "SELECT c.oid FROM tenancy.reference_table r"
									 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation ORDER BY c.oid"))
	{
		Oid			relid = atooid(lfirst(lc));

		LockRelationOid(relid, AccessShareLock);
		if (get_rel_name(relid) == NULL)
			continue;			/* dropped while we waited */
		references->tables = lappend_oid(references->tables, relid);
		tenancy_reference_check(relid);
	}
	if (references->tables == NIL)
	{
		/* The query, which plans long, would say so. */
		references->definitions = pstrdup("[]");
		return;
	}
	references->definitions = query_text("SELECT COALESCE(pg_catalog.jsonb_agg(" DEFINITION " ORDER BY c.oid), '[]')"
										 " FROM tenancy.reference_table r"
										 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation"
										 " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace");
}

/*
 * Have the rows written to files, which tenancy_reference_end() removes.  The
 * tables may change when that is done: definitions and rows fit together.
 */
void
tenancy_reference_export(TenancyReferences *references)
{
	ListCell   *lc;
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);
	char	   *directory = psprintf("%s_reference", tenancy_rows_temporary_directory());

	if (access(directory, F_OK) == 0)
		(void) rmtree(directory, true);
	if (MakePGDirectory(directory) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", directory)));
	references->directory = directory;
	job->function = "tenancy_reference_export_main";
	job->argument = psprintf("%s\n%s", directory, references->definitions);
	(void) tenancy_worker_run(job);
	foreach(lc, references->tables)
		UnlockRelationOid(lfirst_oid(lc), AccessShareLock);
	references->tables = NIL;
}

/* Remove the files; also for PG_ENSURE_ERROR_CLEANUP(). */
void
tenancy_reference_end(int code, Datum arg)
{
	TenancyReferences *references = (TenancyReferences *) DatumGetPointer(arg);

	if (references->directory != NULL)
		(void) rmtree(references->directory, true);
	references->directory = NULL;
}

static char *
result_path(const TenancyReferences *references)
{
	return psprintf("%s/result", references->directory);
}

/* Bring the copies in a database in step, in a worker, whose error becomes ours. */
void
tenancy_reference_send(const TenancyReferences *references, Oid database)
{
	TenancyJob *job = tenancy_worker_job(database);

	job->function = TENANCY_REFERENCE_APPLY;
	job->argument = psprintf("%d %s\n%s", LockTimeout,
							 references->directory ? references->directory : "", references->definitions);
	(void) tenancy_worker_run(job);
}

/*
 * What the last worker has committed, even if it failed later, as lines for each
 * table: "OID altered inserted updated deleted".  To be asked for once.
 */
List *
tenancy_reference_result(const TenancyReferences *references)
{
	const char *path = result_path(references);
	StringInfo	content = tenancy_file_read(path, true);
	List	   *lines = NIL;
	char	   *line;

	if (content == NULL)
		return NIL;
	(void) unlink(path);
	for (line = strtok(content->data, "\n"); line != NULL; line = strtok(NULL, "\n"))
		lines = lappend(lines, line);
	return lines;
}

/*
 * What a table's rows hash to, whatever their order, together with their number.
 * No code of others runs: the types' output functions are PostgreSQL's or an
 * extension's.
 */
static char *
rows_digest(Oid relid)
{
	Oid			owner = atooid(query_text("SELECT relowner FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) %u", relid));
	char	   *columns = query_text("SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname) OPERATOR(pg_catalog.||) '::pg_catalog.text', ', ' ORDER BY attnum)"
									 " FROM pg_catalog.pg_attribute WHERE attrelid OPERATOR(pg_catalog.=) %u"
									 " AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped", relid);

	return tenancy_exec_text_as(owner, "SELECT pg_catalog.concat(pg_catalog.count(*), '/',"
								" pg_catalog.sum(pg_catalog.hash_record_extended(ROW(%s), 0))) FROM ONLY %s",
								columns, table_label(relid));
}

char *
tenancy_reference_digest(void)
{
	StringInfoData digest;
	ListCell   *lc;

	initStringInfo(&digest);
	foreach(lc, tenancy_exec_list_as(tenancy_registry_owner(),
									 "SELECT r.relation::pg_catalog.oid FROM tenancy.reference_table r"
									 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation ORDER BY 1"))
	{
		Oid			relid = atooid(lfirst(lc));

		/* As reading it does anyway; it may be dropped while we wait. */
		LockRelationOid(relid, AccessShareLock);
		if (get_rel_name(relid) != NULL)
			appendStringInfo(&digest, " %u/%s", relid, rows_digest(relid));
	}
	return digest.data;
}

/* Make the copies in a database, without rows: the template. */
void
tenancy_reference_define(Oid database)
{
	TenancyReferences references;

	check_models();
	tenancy_reference_begin(&references);
	if (strcmp(references.definitions, "[]") != 0)
		tenancy_reference_send(&references, database);
}

/* Give a new database, which is a copy of the template, the rows as they are now. */
void
tenancy_reference_fill(Oid database)
{
	TenancyReferences *references = palloc(sizeof(TenancyReferences));

	tenancy_reference_begin(references);
	if (strcmp(references->definitions, "[]") == 0)
		return;
	PG_ENSURE_ERROR_CLEANUP(tenancy_reference_end, PointerGetDatum(references));
	{
		tenancy_reference_export(references);
		tenancy_reference_send(references, database);
	}
	PG_END_ENSURE_ERROR_CLEANUP(tenancy_reference_end, PointerGetDatum(references));
	tenancy_reference_end(0, PointerGetDatum(references));
}
