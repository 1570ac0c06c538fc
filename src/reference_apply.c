/*-------------------------------------------------------------------------
 *
 * reference_apply.c
 *	  Reference tables in a tenant's database: what a worker there does.
 *
 * In one transaction, the copies of all reference tables get the definitions and
 * the rows that they are to have: whoever reads sees the old state or the new
 * one.  In another, what is no reference table any more goes.  It may be
 * repeated: only what differs is touched.
 *
 * Definitions.  What differs is found in the catalogs and changed by ALTER TABLE,
 * as the table's owner; nothing is dropped that others depend on.  A table,
 * column or key that has another name than before, and not for lack of it
 * anywhere, is renamed.  A table that is there and not a copy is never taken
 * for one.
 *
 * Rows are compared as binary images, which every type has, json included.  No order among the
 * tables is needed: rows are deleted, changed and inserted with the triggers of
 * foreign keys off.  The foreign keys among the copies hold when all is done, as
 * they do at the source, circles included.  Those of other tables, the
 * tenant's, are looked after by us, after the rows have been changed: their ON
 * DELETE and ON UPDATE actions are done for rows that are gone, and if there are
 * none, that is the foreign key's violation.
 *
 * A row is the same if it is so in the columns of all unique keys; else it is
 * deleted and inserted anew, all deletions first, so that rows may exchange such
 * values.  Meanwhile the table is locked against foreign keys' checks, which would
 * find the row gone.  What only changes otherwise is updated, and disturbs
 * nobody.
 *
 * The tables are their owner's, statements run as it, restricted, and deferrable
 * constraints are immediate: nothing runs later with more rights.  The
 * extension's owner only creates schemas and temporary tables, and lends the
 * owner the right to create in the schema.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "commands/copy.h"
#include "compat.h"
#include "exec.h"
#include "executor/spi.h"
#include "file.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "reference.h"
#include "registry.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PGDLLEXPORT void tenancy_reference_apply_main(const char *argument);

/* How long to wait for a lock, in milliseconds, unless the caller says so. */
#define LOCK_TIMEOUT	10000

/* A reference table's copy. */
typedef struct Copy
{
	int			number;			/* for the names of temporary tables */
	char	   *definition;		/* what it is to be, as a literal */
	char	   *saved;			/* what it was made of last, the same */
	char	   *schema;
	char	   *name;			/* qualified and quoted */
	char	   *source;			/* OID at the source */
	Oid			relid;
	Oid			owner;
	bool		altered;
	char	   *columns;		/* a list */
	uint64		inserted;
	uint64		updated;
	uint64		deleted;
	uint64		gone;			/* deleted, or replaced */
} Copy;

/* A foreign key of a tenant's table to a copy. */
typedef struct ForeignKey
{
	char	   *name;
	char	   *table;			/* qualified, with ONLY */
	char	   *table_name;
	Oid			owner;
	char		on_delete;
	char		on_update;
	char	   *old;			/* select lists: of the rows that are gone */
	char	   *new;			/* ... of those that replace them */
	char	   *still;			/* conditions: p, a row, has what g had */
	char	   *refers;			/* ... f, a row of the table, refers to k */
	char	   *set_null;		/* SET lists */
	char	   *set_default;
	char	   *set_new;
} ForeignKey;


/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

/* The text of a query's first value, as the extension's owner. */
#define query_text(...) tenancy_exec_text_as(tenancy_registry_owner(), __VA_ARGS__)

static List *query_list(const char *format,...) pg_attribute_printf(1, 2);

static List *
query_list(const char *format,...)
{
	va_list		args;
	char	   *sql;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	return tenancy_exec_list_as(tenancy_registry_owner(), sql);
}

static uint64 run_as(Oid role, const char *format,...) pg_attribute_printf(2, 3);

/* Run a statement as a role that reaches all rows of its tables. */
static uint64
run_as(Oid role, const char *format,...)
{
	TenancyExec exec;
	va_list		args;
	char	   *sql;
	uint64		processed;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	processed = tenancy_exec_sql(sql);
	tenancy_exec_end(&exec);
	return processed;
}

static uint64 change_rows(const Copy *copy, const char *format,...) pg_attribute_printf(2, 3);

/* The same for rows of a copy, past triggers and foreign keys. */
static uint64
change_rows(const Copy *copy, const char *format,...)
{
	TenancyExec exec;
	va_list		args;
	char	   *sql;
	uint64		processed;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	tenancy_exec_begin(&exec, copy->owner, TENANCY_PATH_NONE);
	tenancy_exec_set("session_replication_role", "replica");
	processed = tenancy_exec_sql(sql);
	tenancy_exec_end(&exec);
	return processed;
}

/* A temporary table that everybody in this session may use; nobody else can. */
static void
create_temporary(const char *name, const char *what)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_unrestrict();
	tenancy_exec_format("CREATE TEMPORARY TABLE %s ON COMMIT DROP %s; GRANT SELECT, INSERT ON pg_temp.%s TO PUBLIC", name, what, name);
	tenancy_exec_end(&exec);
}

/* Run statements that define a copy, as its owner, who may create in the schema meanwhile. */
static void
define(Copy *copy, List *statements)
{
	const char *schema = quote_identifier(copy->schema);
	const char *role = quote_identifier(GetUserNameFromId(copy->owner, false));
	bool		lend;
	ListCell   *lc;

	if (statements == NIL)
		return;
	lend = *query_text("SELECT pg_catalog.has_schema_privilege(%u, %s, 'CREATE')",
					   copy->owner, quote_literal_cstr(copy->schema)) == 'f';
	if (lend)
		run_as(tenancy_registry_owner(), "GRANT CREATE ON SCHEMA %s TO %s", schema, role);
	foreach(lc, statements)
		run_as(copy->owner, "%s", (char *) lfirst(lc));
	if (lend)
		run_as(tenancy_registry_owner(), "REVOKE CREATE ON SCHEMA %s FROM %s", schema, role);
	copy->altered = true;
}


/* ----------------------------------------------------------------
 * Which copies there are
 * ----------------------------------------------------------------
 */

static char *
member(const char *definition, const char *name)
{
	return query_text("SELECT %s::pg_catalog.jsonb OPERATOR(pg_catalog.->>) %s", definition, quote_literal_cstr(name));
}

static List *
read_copies(const char *definitions)
{
	List	   *copies = NIL;
	ListCell   *lc;

	foreach(lc, query_list("SELECT t FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb) t",
						   quote_literal_cstr(definitions)))
	{
		Copy	   *copy = palloc0(sizeof(Copy));
		char	   *owner;

		copy->number = foreach_current_index(lc);
		copy->definition = quote_literal_cstr(lfirst(lc));
		copy->schema = member(copy->definition, "schema");
		copy->name = quote_qualified_identifier(copy->schema, member(copy->definition, "table"));
		copy->source = member(copy->definition, "oid");
		owner = member(copy->definition, "owner");
		copy->owner = get_role_oid(owner, false);
		if (superuser_arg(copy->owner))
			elog(ERROR, "reference table %s is owned by a superuser", copy->name);
		copy->columns = query_text("SELECT pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY number)"
								   " FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'columns')"
								   " AS w (number integer, name pg_catalog.text)", copy->definition);
		copies = lappend(copies, copy);
	}
	return copies;
}

/*
 * Drop the copies of what is no reference table any more.  Other copies do not
 * refer to them by now; whatever else depends on them stays, and is an error.
 */
static void
drop_others(const char *definitions)
{
	List	   *others;
	ListCell   *lc;

	others = query_list("SELECT pg_catalog.format('%%s %%s', c.relowner, c.oid::pg_catalog.regclass) FROM tenancy.reference_table r"
						" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation"
						" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
						" WHERE NOT EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb) t"
						"  WHERE (t OPERATOR(pg_catalog.->>) 'schema' OPERATOR(pg_catalog.=) n.nspname"
						"   AND t OPERATOR(pg_catalog.->>) 'table' OPERATOR(pg_catalog.=) c.relname)"
						"  OR (t OPERATOR(pg_catalog.->) 'oid') OPERATOR(pg_catalog.=) (r.definition OPERATOR(pg_catalog.->) 'oid'))",
						quote_literal_cstr(definitions));
	foreach(lc, others)
	{
		char	   *table = strchr(lfirst(lc), ' ') + 1;
		ListCell   *lc2;

		/* They may hold each other, though. */
		foreach(lc2, query_list("SELECT pg_catalog.format('ALTER TABLE %%s DROP CONSTRAINT %%I', k.conrelid::pg_catalog.regclass, k.conname)"
								" FROM pg_catalog.pg_constraint k WHERE k.contype OPERATOR(pg_catalog.=) 'f'"
								" AND k.conrelid OPERATOR(pg_catalog.=) %s::pg_catalog.regclass", quote_literal_cstr(table)))
			run_as(atooid(lfirst(lc)), "%s", (char *) lfirst(lc2));
	}
	foreach(lc, others)
	{
		char	   *table = strchr(lfirst(lc), ' ') + 1;

		(void) query_list("DELETE FROM tenancy.reference_table WHERE relation OPERATOR(pg_catalog.=) %s::pg_catalog.regclass",
						  quote_literal_cstr(table));
		run_as(atooid(lfirst(lc)), "DROP TABLE %s", table);
	}
}

static void
make_schema(const Copy *copy)
{
	if (query_text("SELECT oid FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) %s",
				   quote_literal_cstr(copy->schema)) == NULL)
		run_as(tenancy_registry_owner(), "CREATE SCHEMA %s AUTHORIZATION %s", quote_identifier(copy->schema),
			   quote_identifier(member(copy->definition, "schema_owner")));
}

/* Let those use the schema who do at the source. */
static void
grant_schema(const Copy *copy)
{
	char	   *roles = query_text("SELECT pg_catalog.string_agg(w.role, ', ')"
								   " FROM pg_catalog.jsonb_array_elements_text(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'usage') AS w (role)"
								   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a"
								   "  WHERE n.nspname OPERATOR(pg_catalog.=) %s AND a.privilege_type OPERATOR(pg_catalog.=) 'USAGE'"
								   "  AND " TENANCY_REFERENCE_ROLE("a.grantee") " OPERATOR(pg_catalog.=) w.role)",
								   copy->definition, quote_literal_cstr(copy->schema));

	if (roles != NULL)
		run_as(tenancy_registry_owner(), "GRANT USAGE ON SCHEMA %s TO %s", quote_identifier(copy->schema), roles);
}

/* The table that was made as this copy, under this name or the one before. */
static Oid
find_table(const Copy *copy)
{
	char	   *oid = query_text("SELECT c.oid FROM tenancy.reference_table r"
								 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation"
								 " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
								 " WHERE pg_catalog.format('%%I.%%I', n.nspname, c.relname) OPERATOR(pg_catalog.=) %s",
								 quote_literal_cstr(copy->name));

	if (oid == NULL)
		oid = query_text("SELECT r.relation::pg_catalog.oid FROM tenancy.reference_table r"
						 " WHERE r.definition OPERATOR(pg_catalog.->>) 'oid' OPERATOR(pg_catalog.=) %s",
						 quote_literal_cstr(copy->source));
	return oid == NULL ? InvalidOid : atooid(oid);
}

/* Let the table be where it is to be, under its name. */
static void
rename_table(Copy *copy)
{
	char	   *table = member(copy->definition, "table");
	char	   *schema = get_namespace_name(get_rel_namespace(copy->relid));
	List	   *statements = NIL;

	if (strcmp(get_rel_name(copy->relid), table) != 0)
		statements = lappend(statements, psprintf("ALTER TABLE %s RENAME TO %s",
												  quote_qualified_identifier(schema, get_rel_name(copy->relid)),
												  quote_identifier(table)));
	if (strcmp(schema, copy->schema) != 0)
		statements = lappend(statements, psprintf("ALTER TABLE %s SET SCHEMA %s",
												  quote_qualified_identifier(schema, table),
												  quote_identifier(copy->schema)));
	define(copy, statements);
}

/* Find the copy, or make one, still without columns. */
static void
make_table(Copy *copy)
{
	const char *owner = quote_identifier(GetUserNameFromId(copy->owner, false));

	copy->relid = find_table(copy);
	if (OidIsValid(copy->relid))
	{
		if (query_text("SELECT oid FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) %u"
					   " AND relowner OPERATOR(pg_catalog.=) %u", copy->relid, copy->owner) == NULL)
			run_as(tenancy_registry_owner(), "ALTER TABLE %s OWNER TO %s",
				   quote_qualified_identifier(get_namespace_name(get_rel_namespace(copy->relid)),
											  get_rel_name(copy->relid)), owner);
		rename_table(copy);
		copy->saved = quote_literal_cstr(query_text("SELECT COALESCE(definition, '{}') FROM tenancy.reference_table"
													" WHERE relation::pg_catalog.oid OPERATOR(pg_catalog.=) %u", copy->relid));
		return;
	}
	if (query_text("SELECT pg_catalog.to_regclass(%s)", quote_literal_cstr(copy->name)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation %s exists in the tenant's database, and is no copy of the reference table", copy->name),
				 errhint("Rename or drop it there.")));
	define(copy, list_make1(psprintf("CREATE TABLE %s ()", copy->name)));
	copy->relid = atooid(query_text("SELECT %s::pg_catalog.regclass::pg_catalog.oid", quote_literal_cstr(copy->name)));
	copy->saved = quote_literal_cstr("{}");
	(void) query_list("INSERT INTO tenancy.reference_table (relation, definition) VALUES (%u, '{}')", copy->relid);
}


/* ----------------------------------------------------------------
 * Definitions
 * ----------------------------------------------------------------
 */

/* The members of a list in a definition, and the columns of a copy. */
#define NAMED(definition, list) \
	"pg_catalog.jsonb_to_recordset(" definition "::pg_catalog.jsonb OPERATOR(pg_catalog.->) '" list "')" \
	" AS w (name pg_catalog.text, definition pg_catalog.text)"
#define COLUMNS(definition) \
	"(SELECT * FROM pg_catalog.jsonb_to_recordset(" definition "::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'columns')" \
	" AS w (number integer, name pg_catalog.text, type pg_catalog.text, collated pg_catalog.text, required boolean, comment pg_catalog.text))"
#define LOCAL_COLUMNS \
	"(SELECT a.attname::pg_catalog.text AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type," \
	"  CASE WHEN a.attcollation OPERATOR(pg_catalog.<>) t.typcollation THEN pg_catalog.format('%%I.%%I', ln.nspname, l.collname) END AS collated," \
	"  a.attnotnull AS required, pg_catalog.col_description(a.attrelid, a.attnum) AS comment" \
	" FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid" \
	" LEFT JOIN (pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace ln ON ln.oid OPERATOR(pg_catalog.=) l.collnamespace)" \
	"  ON l.oid OPERATOR(pg_catalog.=) a.attcollation" \
	" WHERE a.attrelid OPERATOR(pg_catalog.=) %u AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)"

/* Columns and keys that only changed their names. */
static void
rename_parts(Copy *copy)
{
	define(copy, query_list("SELECT pg_catalog.format('ALTER TABLE %%s RENAME COLUMN %%I TO %%I', %s, o.name, w.name)"
							" FROM " COLUMNS("%s") " o JOIN " COLUMNS("%s") " w ON w.number OPERATOR(pg_catalog.=) o.number"
							" JOIN " LOCAL_COLUMNS " h ON h.name OPERATOR(pg_catalog.=) o.name"
							" WHERE NOT EXISTS (SELECT FROM " COLUMNS("%s") " x WHERE x.name OPERATOR(pg_catalog.=) o.name)"
							" AND NOT EXISTS (SELECT FROM " LOCAL_COLUMNS " x WHERE x.name OPERATOR(pg_catalog.=) w.name)"
							" AND %s::pg_catalog.jsonb OPERATOR(pg_catalog.->>) 'oid' OPERATOR(pg_catalog.=) %s",
							quote_literal_cstr(copy->name), copy->saved, copy->definition, copy->relid, copy->definition,
							copy->relid, copy->saved, quote_literal_cstr(copy->source)));
	define(copy, query_list("SELECT pg_catalog.format('ALTER TABLE %%s RENAME CONSTRAINT %%I TO %%I', %s, k.conname, pg_catalog.min(w.name))"
							" FROM " NAMED("%s", "keys")
							" JOIN pg_catalog.pg_constraint k ON pg_catalog.pg_get_constraintdef(k.oid) OPERATOR(pg_catalog.=) w.definition"
							" WHERE k.conrelid OPERATOR(pg_catalog.=) %u AND k.contype IN ('p', 'u')"
							" AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint x WHERE x.conrelid OPERATOR(pg_catalog.=) %u"
							"  AND x.conname OPERATOR(pg_catalog.=) w.name)"
							" AND NOT EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'keys') x"
							"  WHERE x OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) k.conname)"
							" GROUP BY k.conname",
							quote_literal_cstr(copy->name), copy->definition, copy->relid, copy->relid, copy->definition));
}

/* Drop constraints that are not to be, or not so: foreign keys, or the others. */
static void
drop_constraints(Copy *copy, bool foreign_keys)
{
	define(copy, query_list("SELECT pg_catalog.format('ALTER TABLE %%s DROP CONSTRAINT %%I', %s, k.conname)"
							" FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) %u"
							" AND k.contype OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.\"char\"[])"
							" AND NOT EXISTS (SELECT FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) '%s')"
							"  AS w (name pg_catalog.text, definition pg_catalog.text) WHERE w.name OPERATOR(pg_catalog.=) k.conname"
							"  AND w.definition OPERATOR(pg_catalog.=) pg_catalog.pg_get_constraintdef(k.oid))",
							quote_literal_cstr(copy->name), copy->relid, foreign_keys ? "{f}" : "{p,u,x,c}",
							copy->definition, foreign_keys ? "foreign_keys" : "keys"));
}

/*
 * Drop indexes that are not to be, or not so.  One that a DBA has made in the
 * tenant's database may stay, unless it is unique.
 */
static void
drop_indexes(Copy *copy)
{
	define(copy, query_list("SELECT pg_catalog.format('DROP INDEX %%I.%%I', %s, x.relname)"
							" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid"
							" WHERE i.indrelid OPERATOR(pg_catalog.=) %u"
							" AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid OPERATOR(pg_catalog.=) x.oid"
							"  AND k.conrelid OPERATOR(pg_catalog.=) i.indrelid)"
							" AND NOT EXISTS (SELECT FROM " NAMED("%s", "indexes") " WHERE w.name OPERATOR(pg_catalog.=) x.relname"
							"  AND w.definition OPERATOR(pg_catalog.=) pg_catalog.pg_get_indexdef(x.oid))"
							" AND (i.indisunique OR EXISTS (SELECT FROM " NAMED("%s", "indexes") " WHERE w.name OPERATOR(pg_catalog.=) x.relname)"
							"  OR EXISTS (SELECT FROM " NAMED("%s", "indexes") " WHERE w.name OPERATOR(pg_catalog.=) x.relname))",
							quote_literal_cstr(copy->schema), copy->relid, copy->definition, copy->definition, copy->saved));
}

/*
 * Columns, before the rows: none is NOT NULL that is new or is not to be.  Where
 * a column is to have another type, its values are of no use but in keys, which
 * other tables may refer to: the rows will have new ones.
 */
static void
change_columns(Copy *copy)
{
	char	   *actions = query_text("SELECT pg_catalog.string_agg(CASE"
									 " WHEN w.name IS NULL THEN pg_catalog.format('DROP COLUMN %%I', h.name)"
									 " WHEN h.name IS NULL THEN pg_catalog.format('ADD COLUMN %%I %%s%%s', w.name, w.type, ' COLLATE ' OPERATOR(pg_catalog.||) w.collated)"
									 " WHEN h.type OPERATOR(pg_catalog.<>) w.type OR h.collated IS DISTINCT FROM w.collated"
									 " THEN pg_catalog.format(CASE WHEN k.name IS NULL THEN 'ALTER COLUMN %%1$I DROP NOT NULL, ALTER COLUMN %%1$I TYPE %%2$s%%3$s USING NULL'"
									 "   ELSE 'ALTER COLUMN %%1$I TYPE %%2$s%%3$s USING %%1$I::pg_catalog.text::%%2$s' END,"
									 "  w.name, w.type, ' COLLATE ' OPERATOR(pg_catalog.||) w.collated)"
									 " END, ', ' ORDER BY w.number)"
									 " FROM " COLUMNS("%s") " w FULL JOIN " LOCAL_COLUMNS " h ON h.name OPERATOR(pg_catalog.=) w.name"
									 " LEFT JOIN pg_catalog.jsonb_array_elements_text(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'distinct') AS k (name)"
									 "  ON k.name OPERATOR(pg_catalog.=) w.name",
									 copy->definition, copy->relid, copy->definition);
	char	   *nullable = query_text("SELECT pg_catalog.string_agg(pg_catalog.format('ALTER COLUMN %%I DROP NOT NULL', w.name), ', ')"
									  " FROM " COLUMNS("%s") " w JOIN " LOCAL_COLUMNS " h ON h.name OPERATOR(pg_catalog.=) w.name"
									  " WHERE h.required AND NOT w.required", copy->definition, copy->relid);

	if (actions != NULL)
		define(copy, list_make1(psprintf("ALTER TABLE %s %s", copy->name, actions)));
	if (nullable != NULL)
		define(copy, list_make1(psprintf("ALTER TABLE %s %s", copy->name, nullable)));
}

/* What holds when the rows are there. */
static void
add_keys(Copy *copy)
{
	char	   *required = query_text("SELECT pg_catalog.string_agg(pg_catalog.format('ALTER COLUMN %%I SET NOT NULL', w.name), ', ')"
									  " FROM " COLUMNS("%s") " w JOIN " LOCAL_COLUMNS " h ON h.name OPERATOR(pg_catalog.=) w.name"
									  " WHERE w.required AND NOT h.required", copy->definition, copy->relid);

	if (required != NULL)
		define(copy, list_make1(psprintf("ALTER TABLE %s %s", copy->name, required)));
	define(copy, query_list("SELECT pg_catalog.format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', %s, w.name, w.definition)"
							" FROM " NAMED("%s", "keys")
							" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) %u"
							"  AND k.conname OPERATOR(pg_catalog.=) w.name)",
							quote_literal_cstr(copy->name), copy->definition, copy->relid));
	define(copy, query_list("SELECT w.definition FROM " NAMED("%s", "indexes")
							" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_index i"
							"  JOIN pg_catalog.pg_class x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid"
							"  WHERE i.indrelid OPERATOR(pg_catalog.=) %u AND x.relname OPERATOR(pg_catalog.=) w.name)",
							copy->definition, copy->relid));
}

static void
add_foreign_keys(Copy *copy)
{
	define(copy, query_list("SELECT pg_catalog.format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', %s, w.name, w.definition)"
							" FROM " NAMED("%s", "foreign_keys")
							" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) %u"
							"  AND k.conname OPERATOR(pg_catalog.=) w.name)",
							quote_literal_cstr(copy->name), copy->definition, copy->relid));
}

static void
set_comments(Copy *copy)
{
	define(copy, query_list("SELECT pg_catalog.format('COMMENT ON TABLE %%s IS %%L', %s, w.comment) FROM"
							" (SELECT %s::pg_catalog.jsonb OPERATOR(pg_catalog.->>) 'comment') AS w (comment)"
							" WHERE w.comment IS DISTINCT FROM pg_catalog.obj_description(%u, 'pg_class')"
							" UNION ALL SELECT pg_catalog.format('COMMENT ON COLUMN %%s.%%I IS %%L', %s, w.name, w.comment)"
							" FROM " COLUMNS("%s") " w JOIN " LOCAL_COLUMNS " h ON h.name OPERATOR(pg_catalog.=) w.name"
							" WHERE w.comment IS DISTINCT FROM h.comment",
							quote_literal_cstr(copy->name), copy->definition, copy->relid,
							quote_literal_cstr(copy->name), copy->definition, copy->relid));
}

/* Let those read it who may at the source, and nobody write. */
static void
set_privileges(Copy *copy)
{
	const char *differences =
	"SELECT pg_catalog.format('%%s %%s%%s ON TABLE %%s %%s %%s', d.verb, d.privilege, CASE d.col WHEN '' THEN '' ELSE pg_catalog.format(' (%%I)', d.col) END, %s, d.preposition, d.role)"
	" FROM (SELECT 'REVOKE' AS verb, 'FROM' AS preposition, h.* FROM (SELECT * FROM have EXCEPT SELECT * FROM want) h"
	"  UNION ALL SELECT 'GRANT', 'TO', w.* FROM (SELECT * FROM want EXCEPT SELECT * FROM have) w) d";
	const char *sides =
	"WITH want (role, privilege, col) AS (SELECT w.role, w.privilege, COALESCE(w.\"column\", '')"
	"  FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'grants')"
	"   AS w (role pg_catalog.text, privilege pg_catalog.text, \"column\" pg_catalog.text)),"
	" have (role, privilege, col) AS (SELECT " TENANCY_REFERENCE_ROLE("a.grantee") ", a.privilege_type, ''"
	"  FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a"
	"  WHERE c.oid OPERATOR(pg_catalog.=) %u AND a.grantee OPERATOR(pg_catalog.<>) c.relowner"
	"  UNION SELECT " TENANCY_REFERENCE_ROLE("a.grantee") ", a.privilege_type, t.attname::pg_catalog.text"
	"  FROM pg_catalog.pg_attribute t JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.attrelid,"
	"   pg_catalog.aclexplode(t.attacl) a"
	"  WHERE c.oid OPERATOR(pg_catalog.=) %u AND NOT t.attisdropped AND a.grantee OPERATOR(pg_catalog.<>) c.relowner) ";

	define(copy, query_list(psprintf("%s%s", sides, differences), copy->definition, copy->relid, copy->relid,
							quote_literal_cstr(copy->name)));
}


/* ----------------------------------------------------------------
 * Rows
 * ----------------------------------------------------------------
 */

/*
 * Some columns of a row, as a record: those of a list in the definition or all
 * but those, "" if there are none.
 */
static char *
row_of(const Copy *copy, const char *list, bool others, const char *alias)
{
	char	   *columns = query_text("SELECT pg_catalog.string_agg(pg_catalog.format('%s.%%I', w.name), ', ' ORDER BY w.number)"
									 " FROM " COLUMNS("%s") " w"
									 " WHERE (w.name OPERATOR(pg_catalog.=) ANY (SELECT pg_catalog.jsonb_array_elements_text("
									 "%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) '%s'))) IS %s",
									 alias, copy->definition, copy->definition, list, others ? "FALSE" : "TRUE");

	return columns == NULL ? "" : psprintf("ROW(%s)::pg_catalog.record", columns);
}

/*
 * Are the rows of two aliases the same in these columns, which include the key's?
 * Then the key's are equal, too, which the planner can make a join of.
 */
static char *
same(const Copy *copy, const char *list, const char *alias1, const char *alias2)
{
	char	   *equal = query_text("SELECT pg_catalog.string_agg(pg_catalog.format('%s.%%I %%s %s.%%I', w.name, w.operator, w.name), ' AND ')"
								   " FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'equal')"
								   " AS w (name pg_catalog.text, operator pg_catalog.text)",
								   alias1, alias2, copy->definition);

	return psprintf("(%s AND %s OPERATOR(pg_catalog.*=) %s)", equal,
					row_of(copy, list, false, alias1), row_of(copy, list, false, alias2));
}

/* Read the rows that the copy is to have into a temporary table. */
static void
load_rows(const Copy *copy, const char *directory)
{
	const char *name = psprintf("tenancy_source_%d", copy->number);
	ParseState *pstate = make_parsestate(NULL);
	DefElem    *encoding = makeDefElem("encoding", (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1);
	List	   *columns = NIL;
	TenancyExec exec;
	CopyFromState state;
	Relation	rel;
	ListCell   *lc;

	create_temporary(name, psprintf("AS SELECT * FROM %s WITH NO DATA", copy->name));
	rel = table_open(atooid(query_text("SELECT 'pg_temp.%s'::pg_catalog.regclass::pg_catalog.oid", name)), RowExclusiveLock);
	foreach(lc, query_list("SELECT w.name FROM " COLUMNS("%s") " w ORDER BY w.number", copy->definition))
		columns = lappend(columns, makeString(lfirst(lc)));
	tenancy_exec_begin(&exec, copy->owner, TENANCY_PATH_NONE);
	(void) addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, NULL, false, false);
	state = BeginCopyFrom(pstate, rel, NULL, psprintf("%s/%s.copy", directory, copy->source), false, NULL, columns,
						  list_make1(encoding));
	(void) CopyFrom(state);
	EndCopyFrom(state);
	tenancy_exec_end(&exec);
	free_parsestate(pstate);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/*
 * Has the copy other rows than it is to have?  If there are as many, and each that
 * is to be there is, it has not: a key is unique on both sides.
 */
static bool
rows_differ(const Copy *copy)
{
	char	   *others = row_of(copy, "distinct", true, "r");
	char	   *equal = same(copy, "distinct", "r", "s");

	if (others[0] != '\0')
		equal = psprintf("%s AND %s OPERATOR(pg_catalog.*=) %s", equal, others, row_of(copy, "distinct", true, "s"));
	return run_as(copy->owner, "SELECT WHERE (SELECT pg_catalog.count(*) FROM ONLY %s)"
				  " OPERATOR(pg_catalog.<>) (SELECT pg_catalog.count(*) FROM pg_temp.tenancy_source_%d)"
				  " OR EXISTS (SELECT FROM pg_temp.tenancy_source_%d s WHERE NOT EXISTS (SELECT FROM ONLY %s r WHERE %s))",
				  copy->name, copy->number, copy->number, copy->name, equal) > 0;
}

/*
 * Are there rows that keep their key, and not all other values that are
 * unique?  They will be gone for a moment; nobody may look for them then.
 */
static void
lock_replaced(const Copy *copy)
{
	if (strcmp(row_of(copy, "key", false, "r"), row_of(copy, "distinct", false, "r")) == 0)
		return;					/* no other key */
	if (run_as(copy->owner, "SELECT FROM ONLY %s r JOIN pg_temp.tenancy_source_%d s ON %s WHERE NOT %s LIMIT 1",
			   copy->name, copy->number, same(copy, "key", "r", "s"), same(copy, "distinct", "r", "s")) > 0)
		run_as(copy->owner, "LOCK TABLE ONLY %s IN EXCLUSIVE MODE", copy->name);
}

/* Let the copy have the rows that it is to have; what was there and is not, is kept aside. */
static void
sync_rows(Copy *copy)
{
	int			n = copy->number;
	char	   *set = query_text("SELECT pg_catalog.string_agg(pg_catalog.format('%%I = s.%%I', w.name, w.name), ', ') FROM " COLUMNS("%s") " w"
								 " WHERE NOT w.name OPERATOR(pg_catalog.=) ANY (SELECT pg_catalog.jsonb_array_elements_text("
								 "%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'distinct'))", copy->definition, copy->definition);
	uint64		replaced;

	if (!rows_differ(copy))
		return;
	lock_replaced(copy);
	create_temporary(psprintf("tenancy_gone_%d", n), psprintf("AS SELECT * FROM %s WITH NO DATA", copy->name));
	copy->gone = change_rows(copy, "WITH gone AS (DELETE FROM ONLY %s r WHERE NOT EXISTS"
							 " (SELECT FROM pg_temp.tenancy_source_%d s WHERE %s) RETURNING r.*)"
							 " INSERT INTO pg_temp.tenancy_gone_%d SELECT * FROM gone",
							 copy->name, n, same(copy, "distinct", "r", "s"), n);
	if (set != NULL)
		copy->updated = change_rows(copy, "UPDATE ONLY %s r SET %s FROM pg_temp.tenancy_source_%d s WHERE %s AND NOT %s OPERATOR(pg_catalog.*=) %s",
									copy->name, set, n, same(copy, "distinct", "r", "s"),
									row_of(copy, "distinct", true, "r"), row_of(copy, "distinct", true, "s"));
	copy->inserted = change_rows(copy, "INSERT INTO %s (%s) SELECT %s FROM pg_temp.tenancy_source_%d s WHERE NOT EXISTS"
								 " (SELECT FROM ONLY %s r WHERE %s)",
								 copy->name, copy->columns, copy->columns, n, copy->name, same(copy, "distinct", "r", "s"));
	replaced = copy->gone == 0 ? 0 :
		run_as(copy->owner, "SELECT FROM pg_temp.tenancy_gone_%d g JOIN pg_temp.tenancy_source_%d s ON %s", n, n, same(copy, "key", "g", "s"));
	copy->deleted = copy->gone - replaced;
	copy->updated += replaced;
	copy->inserted -= replaced;
}


/* ----------------------------------------------------------------
 * The tenant's foreign keys
 * ----------------------------------------------------------------
 */

static List *
find_foreign_keys(const Copy *copy)
{
	TenancyExec exec;
	List	   *keys = NIL;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT k.conname, CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END OPERATOR(pg_catalog.||) c.oid::pg_catalog.regclass::pg_catalog.text,"
								" c.oid::pg_catalog.regclass, c.relowner, k.confdeltype, k.confupdtype,"
								" pg_catalog.string_agg(pg_catalog.format('g.%%I AS o%%s', pa.attname, u.n), ', ' ORDER BY u.n),"
								" pg_catalog.string_agg(pg_catalog.format('n.%%I AS n%%s', pa.attname, u.n), ', ' ORDER BY u.n),"
								" pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) g.%%I', pa.attname, ppn.nspname, pp.oprname, pa.attname), ' AND '),"
								" pg_catalog.string_agg(pg_catalog.format('k.o%%s OPERATOR(%%I.%%s) f.%%I', u.n, pfn.nspname, pf.oprname, fa.attname), ' AND '),"
								" pg_catalog.string_agg(pg_catalog.format('%%I = NULL', fa.attname), ', ')"
								"  FILTER (WHERE k.confdelsetcols IS NULL OR u.fk OPERATOR(pg_catalog.=) ANY (k.confdelsetcols)),"
								" pg_catalog.string_agg(pg_catalog.format('%%I = DEFAULT', fa.attname), ', ')"
								"  FILTER (WHERE k.confdelsetcols IS NULL OR u.fk OPERATOR(pg_catalog.=) ANY (k.confdelsetcols)),"
								" pg_catalog.string_agg(pg_catalog.format('%%I = k.n%%s', fa.attname, u.n), ', ')"
								" FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.conrelid"
								" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey),"
								"  pg_catalog.unnest(k.conppeqop), pg_catalog.unnest(k.conpfeqop)) WITH ORDINALITY AS u (fk, pk, ppop, pfop, n)"
								" JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) k.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk"
								" JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) k.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk"
								" JOIN (pg_catalog.pg_operator pp JOIN pg_catalog.pg_namespace ppn ON ppn.oid OPERATOR(pg_catalog.=) pp.oprnamespace)"
								"  ON pp.oid OPERATOR(pg_catalog.=) u.ppop"
								" JOIN (pg_catalog.pg_operator pf JOIN pg_catalog.pg_namespace pfn ON pfn.oid OPERATOR(pg_catalog.=) pf.oprnamespace)"
								"  ON pf.oid OPERATOR(pg_catalog.=) u.pfop"
								" WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND " TENANCY_IS_ENFORCED " AND k.confrelid OPERATOR(pg_catalog.=) %u"
								" AND k.conparentid OPERATOR(pg_catalog.=) 0"
								" AND NOT k.conrelid OPERATOR(pg_catalog.=) ANY (SELECT relation FROM tenancy.reference_table)"
								" GROUP BY k.oid, k.conname, c.oid, c.relkind, c.relowner, k.confdeltype, k.confupdtype, k.confdelsetcols"
								" ORDER BY c.oid, k.conname", copy->relid);
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		ForeignKey *key = palloc0(sizeof(ForeignKey));
		char	   *values[13];

		for (int n = 0; n < lengthof(values); n++)
			values[n] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, n + 1);
		key->name = values[0];
		key->table = values[1];
		key->table_name = values[2];
		key->owner = atooid(values[3]);
		key->on_delete = *values[4];
		key->on_update = *values[5];
		key->old = values[6];
		key->new = values[7];
		key->still = values[8];
		key->refers = values[9];
		key->set_null = values[10];
		key->set_default = values[11];
		key->set_new = values[12];
		keys = lappend(keys, key);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return keys;
}

/*
 * Do what a foreign key says of rows that are gone, or that have other values
 * now.  "which" selects these from the temporary table.
 */
static void
do_action(const Copy *copy, const ForeignKey *key, char action, const char *which)
{
	const char *keys = psprintf("pg_temp.tenancy_key_%d k WHERE %s AND %s", copy->number, which, key->refers);

	switch (action)
	{
		case 'c':
			if (strcmp(which, "k.changed") == 0)
				run_as(key->owner, "UPDATE %s f SET %s FROM %s", key->table, key->set_new, keys);
			else
				run_as(key->owner, "DELETE FROM %s f USING %s", key->table, keys);
			break;
		case 'n':
			run_as(key->owner, "UPDATE %s f SET %s FROM %s", key->table, key->set_null, keys);
			break;
		case 'd':
			run_as(key->owner, "UPDATE %s f SET %s FROM %s", key->table, key->set_default, keys);
			break;
		default:
			break;				/* the rows must not be there, see below */
	}
	if (action != 'c' && run_as(key->owner, "SELECT FROM %s f, %s LIMIT 1", key->table, keys) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("rows of table %s refer by foreign key constraint \"%s\" to rows that reference table %s no longer has",
						key->table_name, key->name, copy->name)));
}

/* Have the tenant's rows follow those of the copy that are gone. */
static void
follow(const Copy *copy)
{
	ListCell   *lc;

	if (copy->gone == 0)
		return;
	foreach(lc, find_foreign_keys(copy))
	{
		ForeignKey *key = lfirst(lc);
		const char *name = psprintf("tenancy_key_%d", copy->number);

		/* For its columns, which have the types of the copy's. */
		create_temporary(name, psprintf("AS SELECT %s, %s, false AS changed"
										" FROM pg_temp.tenancy_gone_%d g, pg_temp.tenancy_gone_%d n WITH NO DATA",
										key->old, key->new, copy->number, copy->number));
		if (run_as(copy->owner, "INSERT INTO pg_temp.%s SELECT %s, %s, n.tableoid IS NOT NULL"
				   " FROM pg_temp.tenancy_gone_%d g LEFT JOIN ONLY %s n ON %s"
				   " WHERE NOT EXISTS (SELECT FROM ONLY %s p WHERE %s)",
				   name, key->old, key->new, copy->number, copy->name, same(copy, "key", "g", "n"),
				   copy->name, key->still) > 0)
		{
			do_action(copy, key, key->on_update, "k.changed");
			do_action(copy, key, key->on_delete, "NOT k.changed");
		}
		run_as(tenancy_registry_owner(), "DROP TABLE pg_temp.%s", name);
	}
}


/* ----------------------------------------------------------------
 * The whole
 * ----------------------------------------------------------------
 */

/* A transaction in which nothing waits for its end, in a context that outlives it. */
static void
begin(MemoryContext context)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	PushActiveSnapshot(GetTransactionSnapshot());
	run_as(tenancy_registry_owner(), "SET CONSTRAINTS ALL IMMEDIATE");
}

static void
apply(List *copies, const char *directory)
{
	ListCell   *lc;

	(void) query_list("DELETE FROM tenancy.reference_table r WHERE NOT EXISTS"
					  " (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) r.relation)");
	foreach(lc, copies)
	{
		make_schema(lfirst(lc));
		grant_schema(lfirst(lc));
		make_table(lfirst(lc));
		rename_parts(lfirst(lc));
	}
	foreach(lc, copies)
		drop_constraints(lfirst(lc), true);
	foreach(lc, copies)
	{
		drop_constraints(lfirst(lc), false);
		drop_indexes(lfirst(lc));
		change_columns(lfirst(lc));
	}
	if (directory[0] != '\0')
	{
		foreach(lc, copies)
			load_rows(lfirst(lc), directory);
		foreach(lc, copies)
			sync_rows(lfirst(lc));
		foreach(lc, copies)
			follow(lfirst(lc));
	}
	foreach(lc, copies)
		add_keys(lfirst(lc));
	foreach(lc, copies)
		set_privileges(lfirst(lc));
	foreach(lc, copies)
	{
		Copy	   *copy = lfirst(lc);

		add_foreign_keys(copy);
		set_comments(copy);
		(void) query_list("UPDATE tenancy.reference_table SET definition = %s WHERE relation::pg_catalog.oid OPERATOR(pg_catalog.=) %u"
						  " AND definition IS DISTINCT FROM %s::pg_catalog.jsonb",
						  copy->definition, copy->relid, copy->definition);
	}
}

/* Tell the caller what was done, by a line for each table. */
static void
write_result(List *copies, const char *directory)
{
	StringInfoData lines;
	ListCell   *lc;

	initStringInfo(&lines);
	foreach(lc, copies)
	{
		Copy	   *copy = lfirst(lc);

		appendStringInfo(&lines, "%s %d " UINT64_FORMAT " " UINT64_FORMAT " " UINT64_FORMAT "\n", copy->source,
						 copy->altered ? 1 : 0, copy->inserted, copy->updated, copy->deleted);
	}
	tenancy_file_write(psprintf("%s/result", directory), lines.data);
}

/*
 * A worker's function: bring the copies in this database in step.  The argument
 * is the caller's lock_timeout and a directory, "" for definitions only; a
 * newline; and the definitions.
 */
void
tenancy_reference_apply_main(const char *argument)
{
	MemoryContext context = CurrentMemoryContext;
	const char *definitions = strchr(argument, '\n') + 1;
	char	   *rest;
	int			lock_timeout = strtol(argument, &rest, 10);
	char	   *directory = pnstrdup(rest + 1, definitions - rest - 2);
	List	   *copies;

	SetConfigOption("lock_timeout", psprintf("%d", lock_timeout > 0 ? lock_timeout : LOCK_TIMEOUT), PGC_USERSET, PGC_S_SESSION);
	begin(context);
	copies = read_copies(definitions);
	apply(copies, directory);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	if (directory[0] != '\0')
		write_result(copies, directory);

	/* By itself: what is in its way shall not stop the rest. */
	begin(context);
	drop_others(definitions);
	PopActiveSnapshot();
	CommitTransactionCommand();
}
