/*-------------------------------------------------------------------------
 *
 * clone_part.c
 *	  Statements for the parts of objects that nothing is defined by.
 *
 * Indexes, foreign keys that stood apart, extended statistics, rules,
 * triggers, what ALTER TABLE sets, and comments on all of it: these come when
 * every object is there, in no order but their own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_create.h"
#include "clone_function.h"
#include "clone_model.h"
#include "clone_other.h"
#include "clone_part.h"
#include "clone_table.h"
#include "clone_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"


/* ----------------------------------------------------------------
 * What comes last: indexes, foreign keys, triggers, ...
 * ----------------------------------------------------------------
 */

void
tenancy_clone_add_action(Table *table, char *action)
{
	table->actions = lappend(table->actions, action);
}

/* ALTER ... DEPENDS ON EXTENSION */
void
tenancy_clone_add_extension_needs(Model *m, List *dependencies, const char *what)
{
	ListCell   *lc;

	foreach(lc, dependencies)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->deptype == DEPENDENCY_AUTO_EXTENSION)
			tenancy_clone_emit(m, psprintf("ALTER %s DEPENDS ON EXTENSION %s", what,
										   quote_identifier(get_extension_name(dep->refobjid))));
	}
}

void
tenancy_clone_own_sequence(Model *m, const Object *sequence)
{
	Table	   *table;
	Form_pg_attribute column;

	if (sequence->identity || !OidIsValid(sequence->owner_relid))
		return;
	table = tenancy_clone_find_table(m, sequence->owner_relid);
	if (table == NULL)
		elog(ERROR, "sequence %s is owned by an unknown table", sequence->name);
	column = tenancy_clone_find_column(table, sequence->owner_attno);
	tenancy_clone_emit(m, psprintf("ALTER SEQUENCE %s OWNED BY %s.%s", sequence->name,
								   table->object.name, tenancy_clone_identifier(column->attname)));
}

/* What neither a constraint's definition nor pg_get_indexdef() says. */
static void
adjust_index(Model *m, HeapTuple row, const char *name, bool is_constraint)
{
	Form_pg_index index = ROW(Form_pg_index, row);
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index->indexrelid));
	Form_pg_class class;
	char	   *options;
	bool		no_expressions;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index->indexrelid);
	class = ROW(Form_pg_class, tuple);
	options = is_constraint ? tenancy_clone_relation_options(tuple) : "";
	if (!index->indisvalid && class->relkind == RELKIND_INDEX)
		tenancy_clone_refuse(m, RelationRelationId, index->indexrelid, "not valid");
	if (options[0] != '\0' && class->relkind == RELKIND_INDEX)
		tenancy_clone_emit(m, psprintf("ALTER INDEX %s SET (%s)", name, options));
	if (OidIsValid(class->reltablespace))
		tenancy_clone_emit(m, psprintf("ALTER INDEX %s SET TABLESPACE %s", name,
									   tenancy_clone_tablespace_identifier(class->reltablespace)));
	ReleaseSysCache(tuple);

	/* Only columns that are expressions can have statistics targets. */
	(void) tenancy_clone_attr(&m->catalogs, CAT_INDEX, row, Anum_pg_index_indexprs,
							  &no_expressions);
	if (no_expressions)
		return;
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_ATTRIBUTE, index->indexrelid))
	{
		int			target = tenancy_clone_attr_target(&m->catalogs, CAT_ATTRIBUTE, lfirst(lc),
													   Anum_pg_attribute_attstattarget);

		if (target >= 0)
			tenancy_clone_emit(m, psprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d", name,
										   ROW(Form_pg_attribute, lfirst(lc))->attnum, target));
	}
}

static int
compare_indexes(const ListCell *a, const ListCell *b)
{
	Oid			x = ROW(Form_pg_index, lfirst(a))->indexrelid;
	Oid			y = ROW(Form_pg_index, lfirst(b))->indexrelid;

	return x < y ? -1 : x > y;
}

/* A partition's index is a part of its parent's. */
static void
note_attachment(Model *m, Oid index, const char *name)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_PARENTS, index))
	{
		Oid			parent = ROW(Form_pg_inherits, lfirst(lc))->inhparent;

		m->index_attachments = lappend(m->index_attachments,
									   psprintf("ALTER INDEX %s ATTACH PARTITION %s",
												quote_identifier(get_rel_name(parent)), name));
	}
}

static char *
comment_text(Model *m, HeapTuple row)
{
	return quote_literal_cstr(tenancy_clone_attr_text(&m->catalogs, CAT_DESCRIPTION, row,
													  Anum_pg_description_description));
}

void
tenancy_clone_add_comment(Model *m, Oid classid, Oid oid, const char *what)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_DESCRIPTION, oid, classid))
	{
		if (ROW(Form_pg_description, lfirst(lc))->objsubid == 0)
			tenancy_clone_emit(m, psprintf("COMMENT ON %s IS %s", what, comment_text(m, lfirst(lc))));
	}
}

static void
comment_constraint(Model *m, Form_pg_constraint con, const char *on)
{
	tenancy_clone_add_comment(m, ConstraintRelationId, con->oid,
							  psprintf("CONSTRAINT %s ON %s", tenancy_clone_identifier(con->conname), on));
}

/* An array over an index's columns: oidvector or int2vector. */
static const void *
index_vector(Model *m, HeapTuple row, AttrNumber attno)
{
	bool		isnull;

	return DatumGetPointer(tenancy_clone_attr(&m->catalogs, CAT_INDEX, row, attno, &isnull));
}

/*
 * The definition of an index that has nothing but columns, as nearly all do;
 * NULL for others.  It names the operator classes, also those that are the default:
 * to find that out, PostgreSQL looks through all classes of btree for each column.
 */
static char *
plain_index_definition(Model *m, const Table *table, HeapTuple row, const char *name)
{
	Form_pg_index index = ROW(Form_pg_index, row);
	const oidvector *classes;
	const oidvector *collations;
	const int2vector *options;
	bool		isnull;
	StringInfoData buf;

	(void) tenancy_clone_attr(&m->catalogs, CAT_INDEX, row, Anum_pg_index_indpred, &isnull);
	if (!isnull || index->indnullsnotdistinct || index->indnatts != index->indnkeyatts)
		return NULL;
	classes = index_vector(m, row, Anum_pg_index_indclass);
	collations = index_vector(m, row, Anum_pg_index_indcollation);
	options = index_vector(m, row, Anum_pg_index_indoption);

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sINDEX %s ON %s USING btree (",
					 index->indisunique ? "UNIQUE " : "", name, table->object.name);
	for (int i = 0; i < index->indnatts; i++)
	{
		Form_pg_attribute att;

		if (index->indkey.values[i] <= 0)
			return NULL;
		att = tenancy_clone_find_column(table, index->indkey.values[i]);
		if (options->values[i] != 0 || collations->values[i] != att->attcollation)
			return NULL;
		appendStringInfo(&buf, "%s%s %s", i > 0 ? ", " : "", tenancy_clone_identifier(att->attname),
						 generate_opclass_name(classes->values[i]));
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

static char *
index_definition(Model *m, const Table *table, HeapTuple row, const char *name)
{
	Oid			oid = ROW(Form_pg_index, row)->indexrelid;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
	Form_pg_class class;
	char	   *definition = NULL;
	bool		no_options;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", oid);
	class = ROW(Form_pg_class, tuple);
	(void) SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &no_options);
	if (class->relkind == RELKIND_INDEX && class->relam == BTREE_AM_OID && no_options)
		definition = plain_index_definition(m, table, row, name);
	ReleaseSysCache(tuple);
	if (definition != NULL)
		return definition;
	return TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext,
												   ObjectIdGetDatum(oid),
												   Int32GetDatum(0),
												   BoolGetDatum(true)));
}

void
tenancy_clone_create_indexes(Model *m, Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	List	   *indexes;
	ListCell   *lc;

	if (!class->relhasindex)
		return;
	indexes = tenancy_clone_rows(&m->catalogs, CAT_INDEX, table->object.oid);
	list_sort(indexes, compare_indexes);
	foreach(lc, indexes)
	{
		Form_pg_index index = ROW(Form_pg_index, lfirst(lc));
		const char *name = quote_identifier(get_rel_name(index->indexrelid));
		bool		is_constraint = tenancy_clone_find_object(m, RelationRelationId,
															  index->indexrelid) != NULL;

		if (!is_constraint)
		{
			MemoryContext old = MemoryContextSwitchTo(m->scratch);

			tenancy_clone_emit(m, index_definition(m, table, lfirst(lc), name));
			MemoryContextSwitchTo(old);
			MemoryContextReset(m->scratch);
		}
		adjust_index(m, lfirst(lc), name, is_constraint);
		tenancy_clone_add_extension_needs(m,
										  tenancy_clone_rows2(&m->catalogs, CAT_DEPEND,
															  RelationRelationId,
															  index->indexrelid),
										  psprintf("INDEX %s", name));
		tenancy_clone_add_comment(m, RelationRelationId, index->indexrelid,
								  psprintf("INDEX %s", name));
		if (class->relispartition)
			note_attachment(m, index->indexrelid, name);
		if (index->indisclustered)
			tenancy_clone_add_action(table, psprintf("CLUSTER ON %s", name));
		if (index->indisreplident)
			tenancy_clone_add_action(table, psprintf("REPLICA IDENTITY USING INDEX %s", name));
	}
}

/*
 * Foreign keys that were not created with their table: those that lead out of the
 * copy, or the others.  Those of partitions come before their parents', which find
 * and adopt them.
 */
static void
add_foreign_keys(Model *m, const Table *table, bool outside)
{
	MemoryContext old;
	bool		first = true;
	StringInfoData buf;
	ListCell   *lc;

	foreach(lc, table->children)
		add_foreign_keys(m, tenancy_clone_find_table(m, lfirst_oid(lc)), outside);
	old = MemoryContextSwitchTo(m->scratch);
	initStringInfo(&buf);
	foreach(lc, table->object.parts)
	{
		Object	   *part = lfirst(lc);

		if (!tenancy_clone_is_foreign_key(part) || part->state == OBJ_PLACED ||
			tenancy_clone_leads_outside(m, ROW(Form_pg_constraint, part->row)) != outside)
			continue;
		appendStringInfo(&buf, "%s ADD CONSTRAINT %s %s", first ? "" : ",",
						 part->name, tenancy_clone_constraint_definition(part));
		part->state = OBJ_PLACED;
		first = false;
	}
	if (!first)
		tenancy_clone_emit(m, psprintf("ALTER TABLE %s%s", table->object.name, buf.data));
	MemoryContextSwitchTo(old);
	MemoryContextReset(m->scratch);
}

/* Foreign keys that lead to tables of the copy, and stayed apart. */
void
tenancy_clone_add_foreign_keys(Model *m)
{
	ListCell   *lc;

	foreach(lc, m->objects)
	{
		if (((Object *) lfirst(lc))->kind == OBJ_TABLE)
			add_foreign_keys(m, lfirst(lc), false);
	}
}

/* Note the table that a foreign key leads to: a plug-in's may be the tenant's own. */
static void
note_referenced(Model *m, Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(m->result_context);

	if (OidIsValid(m->main_namespace) && get_rel_namespace(relid) == m->main_namespace)
		relid = get_relname_relid(get_rel_name(relid), get_namespace_oid(m->main_schema, false));
	if (OidIsValid(relid))
		m->referenced = list_append_unique_oid(m->referenced, relid);
	MemoryContextSwitchTo(old);
}

/* Those that lead out of the copy, with their comments, apart from all other statements. */
void
tenancy_clone_add_outside_keys(Model *m)
{
	List	   *statements = m->statements;
	ListCell   *lc;
	ListCell   *lc2;

	m->statements = NIL;
	foreach(lc, m->objects)
	{
		if (((Object *) lfirst(lc))->kind == OBJ_TABLE)
			add_foreign_keys(m, lfirst(lc), true);
	}
	foreach(lc, m->objects)
	{
		const Table *table = lfirst(lc);

		if (table->object.kind != OBJ_TABLE)
			continue;
		foreach(lc2, table->constraints)
		{
			Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc2));

			if (!tenancy_clone_leads_outside(m, con) || con->confrelid == m->registry_tenant)
				continue;
			note_referenced(m, con->confrelid);
			comment_constraint(m, con, table->object.name);
		}
	}
	m->outside_keys = m->statements;
	m->statements = statements;
}

void
tenancy_clone_create_statistics(Model *m, HeapTuple row)
{
	Form_pg_statistic_ext stat = ROW(Form_pg_statistic_ext, row);
	char	   *name = tenancy_clone_identifier(stat->stxname);
	char	   *def = pg_get_statisticsobjdef_string(stat->oid);
	char	   *qualified = psprintf("CREATE STATISTICS %s ",
									 quote_qualified_identifier(m->module->model_schema,
																NameStr(stat->stxname)));
	int			target = tenancy_clone_attr_target(&m->catalogs, CAT_STATISTICS, row,
												   Anum_pg_statistic_ext_stxstattarget);

	/* The name is qualified always, the rest as search_path wants it. */
	if (strncmp(def, qualified, strlen(qualified)) != 0)
		elog(ERROR, "unexpected definition of statistics %s: %s", name, def);
	tenancy_clone_emit(m, psprintf("CREATE STATISTICS %s %s", name, def + strlen(qualified)));
	if (target >= 0)
		tenancy_clone_emit(m, psprintf("ALTER STATISTICS %s SET STATISTICS %d", name, target));
	tenancy_clone_add_comment(m, StatisticExtRelationId, stat->oid,
							  psprintf("STATISTICS %s", name));
}

/* "ENABLE REPLICA TRIGGER name" and the like; NULL if that is the default. */
static char *
firing_action(char enabled, const char *what, const char *name)
{
	switch (enabled)
	{
		case TRIGGER_DISABLED:
			return psprintf("DISABLE %s %s", what, name);
		case TRIGGER_FIRES_ON_REPLICA:
			return psprintf("ENABLE REPLICA %s %s", what, name);
		case TRIGGER_FIRES_ALWAYS:
			return psprintf("ENABLE ALWAYS %s %s", what, name);
		default:
			return NULL;
	}
}

void
tenancy_clone_create_rules(Model *m, Table *table)
{
	ListCell   *lc;

	if (!ROW(Form_pg_class, table->object.row)->relhasrules)
		return;
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_REWRITE, table->object.oid))
	{
		Form_pg_rewrite rule = ROW(Form_pg_rewrite, lfirst(lc));
		char	   *name = tenancy_clone_identifier(rule->rulename);
		char	   *action = firing_action(rule->ev_enabled, "RULE", name);

		if (rule->oid != table->return_rule)
			tenancy_clone_emit(m, TextDatumGetCString(DirectFunctionCall2(pg_get_ruledef_ext,
																		  ObjectIdGetDatum(rule->oid),
																		  BoolGetDatum(true))));
		if (action != NULL)
			tenancy_clone_add_action(table, action);
		tenancy_clone_add_comment(m, RewriteRelationId, rule->oid,
								  psprintf("RULE %s ON %s", name, table->object.name));
	}
}

/* A partition's triggers that come from its parent differ in firing only. */
void
tenancy_clone_create_triggers(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, table->triggers)
	{
		Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));
		char	   *name = tenancy_clone_identifier(trigger->tgname);
		char	   *what = psprintf("TRIGGER %s ON %s", name, table->object.name);
		char	   *action;

		if (!OidIsValid(trigger->tgparentid))
			tenancy_clone_emit(m, TextDatumGetCString(DirectFunctionCall2(pg_get_triggerdef_ext,
																		  ObjectIdGetDatum(trigger->oid),
																		  BoolGetDatum(true))));
		action = firing_action(trigger->tgenabled, "TRIGGER", name);
		if (action != NULL)
			tenancy_clone_add_action(table, action);
		tenancy_clone_add_extension_needs(m,
										  tenancy_clone_rows2(&m->catalogs, CAT_DEPEND,
															  TriggerRelationId, trigger->oid),
										  what);
		tenancy_clone_add_comment(m, TriggerRelationId, trigger->oid, what);
	}
}

static const char *
storage_name(char storage)
{
	switch (storage)
	{
		case TYPSTORAGE_PLAIN:
			return "PLAIN";
		case TYPSTORAGE_EXTERNAL:
			return "EXTERNAL";
		case TYPSTORAGE_MAIN:
			return "MAIN";
		default:
			return "EXTENDED";
	}
}

/* What a column has from a table's parents, and theirs, when the table is created */
typedef struct Inherited
{
	bool		has_default;
	bool		not_null;
	char		compression;
} Inherited;

static void
find_inherited(Model *m, const Table *table, const char *column, Inherited *inherited)
{
	ListCell   *lc;

	foreach(lc, table->parents)
	{
		Table	   *parent = tenancy_clone_find_table(m, lfirst_oid(lc));
		Form_pg_attribute att = tenancy_clone_find_column_by_name(parent, column);

		if (att == NULL)
			continue;
		inherited->has_default = inherited->has_default || att->atthasdef;
		inherited->not_null = inherited->not_null || att->attnotnull;
		if (tenancy_clone_is_inherited_column(parent, att))
			find_inherited(m, parent, column, inherited);
		else if (inherited->compression == '\0')
			inherited->compression = att->attcompression;
	}
}

/* Where an inherited column differs from what it has got. */
static void
add_inherited_actions(Model *m, Table *table, Form_pg_attribute att)
{
	char	   *column = psprintf("ALTER COLUMN %s", tenancy_clone_identifier(att->attname));
	Inherited	inherited = {0};

	find_inherited(m, table, NameStr(att->attname), &inherited);
	if (att->attcompression != inherited.compression)
		tenancy_clone_add_action(table, psprintf("%s SET COMPRESSION %s", column,
												 tenancy_clone_compression_name(att->attcompression)));
	if (inherited.has_default && !att->atthasdef)
		tenancy_clone_add_action(table, psprintf("%s DROP DEFAULT", column));
	if (inherited.not_null && !att->attnotnull)
		tenancy_clone_add_action(table, psprintf("%s DROP NOT NULL", column));
	if (att->attnotnull && !inherited.not_null && !att->attislocal)
		tenancy_clone_add_action(table, psprintf("%s SET NOT NULL", column));
}

/* "'a', 'b'", or an empty text */
static char *
literal_list(List *names)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	return buf.data;
}

/*
 * Columns and constraints of a child that got to its parents after it was created
 * are its own then.  Those that are not in the model go with the parents' again; but
 * for that, PostgreSQL has no statement, so that pg_upgrade does it in this way.
 */
void
tenancy_clone_disown_inherited(Model *m, const Table *table)
{
	static const char *const statement = "UPDATE pg_catalog.%s SET %s = false WHERE %s OPERATOR(pg_catalog.=) %s::pg_catalog.regclass"
		" AND %s OPERATOR(pg_catalog.=) ANY (ARRAY[%s]::pg_catalog.name[])";
	const char *name = quote_literal_cstr(quote_qualified_identifier(m->schema, NameStr(ROW(Form_pg_class, table->object.row)->relname)));
	List	   *columns = NIL;
	List	   *constraints = NIL;
	ListCell   *lc;

	if (table->parents == NIL || table->inherits || ROW(Form_pg_class, table->object.row)->relispartition)
		return;
	foreach(lc, table->columns)
	{
		if (!ROW(Form_pg_attribute, lfirst(lc))->attislocal)
			columns = lappend(columns, NameStr(ROW(Form_pg_attribute, lfirst(lc))->attname));
	}
	foreach(lc, table->constraints)
	{
		if (!ROW(Form_pg_constraint, lfirst(lc))->conislocal)
			constraints = lappend(constraints, NameStr(ROW(Form_pg_constraint, lfirst(lc))->conname));
	}
	if (columns != NIL)
		tenancy_clone_emit_elevated(m, psprintf(statement, "pg_attribute", "attislocal", "attrelid", name, "attname", literal_list(columns)));
	if (constraints != NIL)
		tenancy_clone_emit_elevated(m, psprintf(statement, "pg_constraint", "conislocal", "conrelid", name, "conname", literal_list(constraints)));
}

/*
 * A check that came to a child from a parent that has it NOT VALID, and was
 * validated there.
 */
void
tenancy_clone_validate_inherited(Model *m, const Table *table)
{
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	foreach(lc, table->object.parts)
	{
		const Object *part = lfirst(lc);

		if (!part->inherited || !ROW(Form_pg_constraint, part->row)->convalidated)
			continue;
		foreach(lc2, table->parents)
		{
			foreach(lc3, tenancy_clone_find_table(m, lfirst_oid(lc2))->object.parts)
			{
				const Object *theirs = lfirst(lc3);

				if (theirs->kind == OBJ_CONSTRAINT && strcmp(theirs->name, part->name) == 0 &&
					!ROW(Form_pg_constraint, theirs->row)->convalidated)
					tenancy_clone_emit(m, psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
												   table->object.name, part->name));
			}
		}
	}
}

/* Put a column's options into a buffer, which is empty if it has none. */
static void
read_column_options(Model *m, StringInfo buf, HeapTuple row)
{
	bool		isnull;
	Datum		options = tenancy_clone_attr(&m->catalogs, CAT_ATTRIBUTE, row,
											 Anum_pg_attribute_attoptions, &isnull);

	resetStringInfo(buf);
	if (!isnull)
		tenancy_clone_append_options(buf, "", options);
}

/* What CREATE TABLE does not say of columns. */
void
tenancy_clone_add_column_actions(Model *m, Table *table)
{
	StringInfoData options;
	ListCell   *lc;

	initStringInfo(&options);
	foreach(lc, table->columns)
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_attribute att = ROW(Form_pg_attribute, row);
		char		storage = get_typstorage(att->atttypid);
		int			target = tenancy_clone_attr_target(&m->catalogs, CAT_ATTRIBUTE, row,
													   Anum_pg_attribute_attstattarget);
		char	   *column;

		read_column_options(m, &options, row);
		if (tenancy_clone_is_inherited_column(table, att))
			add_inherited_actions(m, table, att);
		if (table->object.kind == OBJ_MATVIEW && att->attcompression != '\0')
			tenancy_clone_add_action(table, psprintf("ALTER COLUMN %s SET COMPRESSION %s",
													 tenancy_clone_identifier(att->attname),
													 tenancy_clone_compression_name(att->attcompression)));
		if (att->attstorage == storage && target < 0 && options.len == 0)
			continue;
		column = psprintf("ALTER COLUMN %s", tenancy_clone_identifier(att->attname));
		if (att->attstorage != storage)
			tenancy_clone_add_action(table, psprintf("%s SET STORAGE %s", column,
													 storage_name(att->attstorage)));
		if (target >= 0)
			tenancy_clone_add_action(table, psprintf("%s SET STATISTICS %d", column, target));
		if (options.len > 0)
			tenancy_clone_add_action(table, psprintf("%s SET (%s)", column, options.data));
	}
}

void
tenancy_clone_add_replica_identity(Table *table)
{
	switch (ROW(Form_pg_class, table->object.row)->relreplident)
	{
		case REPLICA_IDENTITY_FULL:
			tenancy_clone_add_action(table, "REPLICA IDENTITY FULL");
			break;
		case REPLICA_IDENTITY_NOTHING:
			tenancy_clone_add_action(table, "REPLICA IDENTITY NOTHING");
			break;
		default:
			break;
	}
}

/* All that is left to say of a table, in one statement. */
void
tenancy_clone_alter_table(Model *m, const Table *table)
{
	StringInfoData buf;
	ListCell   *lc;

	if (table->actions == NIL)
		return;
	initStringInfo(&buf);
	appendStringInfo(&buf, "ALTER TABLE ONLY %s", table->object.name);
	foreach(lc, table->actions)
		appendStringInfo(&buf, "%s %s", foreach_current_index(lc) > 0 ? "," : "",
						 (char *) lfirst(lc));
	tenancy_clone_emit(m, buf.data);
}


/* ----------------------------------------------------------------
 * Comments and security labels
 *
 * A label's provider is a library that the administrator has loaded.  It is asked
 * about each label, and an error of its is the call's.
 * ----------------------------------------------------------------
 */

/* Copy an object's labels, and those of its columns. */
static void
label_object(Model *m, Oid classid, Oid oid, const char *keyword, const char *name, List *columns)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (!m->has_labels)
		return;
	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_SECLABEL, oid, classid))
	{
		int			attno = ROW(FormData_pg_seclabel *, lfirst(lc))->objsubid;
		char	   *head = psprintf("SECURITY LABEL FOR %s ON",
									quote_identifier(tenancy_clone_attr_text(&m->catalogs, CAT_SECLABEL, lfirst(lc),
																			 Anum_pg_seclabel_provider)));
		char	   *label = quote_literal_cstr(tenancy_clone_attr_text(&m->catalogs, CAT_SECLABEL, lfirst(lc),
																	   Anum_pg_seclabel_label));

		if (attno == 0)
			tenancy_clone_emit(m, psprintf("%s %s %s IS %s", head, keyword, name, label));
		foreach(lc2, columns)
		{
			Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc2));

			if (att->attnum == attno && !att->attisdropped)
				tenancy_clone_emit(m, psprintf("%s COLUMN %s.%s IS %s", head, name,
											   tenancy_clone_identifier(att->attname), label));
		}
	}
}

/*
 * The comment on the schema itself, and its labels.  In a database, the schema may have
 * a comment of PostgreSQL's own.
 */
void
tenancy_clone_remark_schema(Model *m)
{
	const char *what = psprintf("SCHEMA %s", quote_identifier(m->schema));

	if (m->tenant == NULL)
		tenancy_clone_emit(m, psprintf("COMMENT ON %s IS NULL", what));
	tenancy_clone_add_comment(m, NamespaceRelationId, m->namespace, what);
	label_object(m, NamespaceRelationId, m->namespace, "SCHEMA", quote_identifier(m->schema), NIL);
}

/* A relation's comment and labels, and those of its columns. */
static void
comment_relation(Model *m, Oid relid, const char *keyword, const char *name, List *columns)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_DESCRIPTION, relid, RelationRelationId))
	{
		int			attno = ROW(Form_pg_description, lfirst(lc))->objsubid;

		if (attno == 0)
			tenancy_clone_emit(m, psprintf("COMMENT ON %s %s IS %s", keyword, name,
										   comment_text(m, lfirst(lc))));
		foreach(lc2, columns)
		{
			Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc2));

			if (att->attnum == attno && !att->attisdropped)
				tenancy_clone_emit(m, psprintf("COMMENT ON COLUMN %s.%s IS %s", name,
											   tenancy_clone_identifier(att->attname), comment_text(m, lfirst(lc))));
		}
	}
	label_object(m, RelationRelationId, relid, keyword, name, columns);
}

/*
 * Constraint triggers have a constraint, too, that can have a comment.  Foreign keys
 * that lead out of the copy come later, if at all.
 */
static void
comment_constraints(Model *m, List *constraints, const char *on)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));

		if (!tenancy_clone_leads_outside(m, con))
			comment_constraint(m, con, on);
	}
}

static void
comment_type(Model *m, const Object *object)
{
	Oid			relid = ROW(Form_pg_type, object->row)->typrelid;

	tenancy_clone_add_comment(m, TypeRelationId, object->oid,
							  psprintf("%s %s", tenancy_clone_object_keyword(object), object->name));
	label_object(m, TypeRelationId, object->oid, tenancy_clone_object_keyword(object), object->name, NIL);
	if (object->kind == OBJ_DOMAIN)
		comment_constraints(m, tenancy_clone_rows(&m->catalogs, CAT_DOMAIN_CONSTRAINT, object->oid),
							psprintf("DOMAIN %s", object->name));
	if (OidIsValid(relid))
		comment_relation(m, relid, "TYPE", object->name,
						 tenancy_clone_rows(&m->catalogs, CAT_ATTRIBUTE, relid));
}

void
tenancy_clone_comment_object(Model *m, const Object *object)
{
	const Table *table = (const Table *) object;

	switch (object->kind)
	{
		case OBJ_TABLE:
		case OBJ_VIEW:
		case OBJ_MATVIEW:
			comment_relation(m, object->oid, tenancy_clone_object_keyword(object), object->name,
							 table->columns);
			comment_constraints(m, table->constraints, object->name);
			break;
		case OBJ_SEQUENCE:
			comment_relation(m, object->oid, "SEQUENCE", object->name, NIL);
			break;
		case OBJ_FUNCTION:
			tenancy_clone_add_comment(m, ProcedureRelationId, object->oid,
									  psprintf("ROUTINE %s", tenancy_clone_function_signature(object)));
			label_object(m, ProcedureRelationId, object->oid, "ROUTINE",
						 tenancy_clone_function_signature(object), NIL);
			break;
		case OBJ_OTHER:
			tenancy_clone_add_comment(m, object->classid, object->oid, tenancy_clone_other_label(object));
			break;
		default:
			comment_type(m, object);
			break;
	}
}
