/*-------------------------------------------------------------------------
 *
 * clone_table.c
 *	  Statements for a copy's sequences, tables and views.
 *
 * What they need has been placed; what is found here to be impossible is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_model.h"
#include "clone_table.h"
#include "clone_type.h"
#include "commands/defrem.h"
#include "compat.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* ----------------------------------------------------------------
 * Sequences
 * ----------------------------------------------------------------
 */

static Form_pg_sequence
sequence_row(Model *m, const Object *sequence)
{
	List	   *list = tenancy_clone_rows(&m->catalogs, CAT_SEQUENCE, sequence->oid);

	if (list == NIL)
		elog(ERROR, "cache lookup failed for sequence %u", sequence->oid);
	return ROW(Form_pg_sequence, linitial(list));
}

/* Is it counting up from 1, as sequences do of which nothing is said? */
static bool
is_plain_sequence(Form_pg_sequence seq)
{
	int64		max = seq->seqtypid == INT2OID ? PG_INT16_MAX :
		seq->seqtypid == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;

	return seq->seqincrement == 1 && seq->seqmin == 1 && seq->seqmax == max &&
		seq->seqstart == 1 && seq->seqcache == 1 && !seq->seqcycle;
}

static void
append_sequence_options(StringInfo buf, Form_pg_sequence seq)
{
	appendStringInfo(buf, " INCREMENT BY " INT64_FORMAT " MINVALUE " INT64_FORMAT
					 " MAXVALUE " INT64_FORMAT " START WITH " INT64_FORMAT
					 " CACHE " INT64_FORMAT "%s",
					 seq->seqincrement, seq->seqmin, seq->seqmax, seq->seqstart,
					 seq->seqcache, seq->seqcycle ? " CYCLE" : "");
}

void
tenancy_clone_create_sequence(Model *m, Object *object)
{
	Form_pg_class class = ROW(Form_pg_class, object->row);
	Form_pg_sequence seq = sequence_row(m, object);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sSEQUENCE %s AS %s",
					 class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
					 object->name, format_type_be(seq->seqtypid));
	append_sequence_options(&buf, seq);
	tenancy_clone_emit(m, buf.data);
}

/*
 * The sequence of an identity column; NULL if it is none, or if it is one of a partition
 * that shares its parent's sequence, as all do from 17 on: ATTACH PARTITION makes it one.
 */
static Object *
find_identity_sequence(const Table *table, Form_pg_attribute att)
{
	ListCell   *lc;

	if (att->attidentity == '\0')
		return NULL;
	foreach(lc, table->sequences)
	{
		Object	   *sequence = lfirst(lc);

		if (sequence->owner_attno == att->attnum)
			return sequence;
	}
	if (!ROW(Form_pg_class, table->object.row)->relispartition)
		elog(ERROR, "column %d of table %s has no sequence", att->attnum, table->object.name);
	return NULL;
}

/* The sequence is of the column's type, unless somebody changed it. */
static void
append_identity(Model *m, StringInfo buf, const Table *table, Form_pg_attribute att)
{
	Object	   *sequence = find_identity_sequence(table, att);
	Form_pg_sequence seq = sequence_row(m, sequence);

	appendStringInfo(buf, " GENERATED %s AS IDENTITY (SEQUENCE NAME %s",
					 att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS ? "ALWAYS" : "BY DEFAULT",
					 sequence->name);
	if (seq->seqtypid == att->atttypid && !is_plain_sequence(seq))
		append_sequence_options(buf, seq);
	appendStringInfoChar(buf, ')');
}

/* What cannot be said of an identity column's sequence when it is created. */
static void
adjust_identity_sequences(Model *m, const Table *table)
{
	char		persistence = ROW(Form_pg_class, table->object.row)->relpersistence;
	ListCell   *lc;

	foreach(lc, table->sequences)
	{
		Object	   *sequence = lfirst(lc);
		Form_pg_class class = ROW(Form_pg_class, sequence->row);
		Form_pg_sequence seq = sequence_row(m, sequence);

		sequence->state = OBJ_PLACED;
		if (seq->seqtypid != tenancy_clone_find_column(table, sequence->owner_attno)->atttypid)
		{
			StringInfoData buf;

			initStringInfo(&buf);
			appendStringInfo(&buf, "ALTER SEQUENCE %s AS %s", sequence->name,
							 format_type_be(seq->seqtypid));
			append_sequence_options(&buf, seq);
			appendStringInfo(&buf, " RESTART");
			tenancy_clone_emit(m, buf.data);
		}
		if (class->relpersistence != persistence)
			tenancy_clone_emit(m, psprintf("ALTER SEQUENCE %s SET %s", sequence->name,
										   class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED" : "LOGGED"));
	}
}


/* ----------------------------------------------------------------
 * Tables
 * ----------------------------------------------------------------
 */

/* Does the column come from a parent that the table is created with? */
bool
tenancy_clone_is_inherited_column(const Table *table, Form_pg_attribute att)
{
	return table->inherits && att->attinhcount > 0;
}

/* Constraints of columns that count for new rows only; a column cannot be created with one. */
static void
add_unvalidated_not_nulls(Model *m, const Table *table)
{
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));

		if (con->contype == CONSTRAINT_NOTNULL && !con->convalidated &&
			(con->conislocal || !table->inherits))
			tenancy_clone_emit(m, psprintf("ALTER TABLE ONLY %s ADD CONSTRAINT %s NOT NULL %s%s NOT VALID",
										   table->object.name, tenancy_clone_identifier(con->conname),
										   quote_identifier(get_attname(table->object.oid, tenancy_not_null_column(lfirst(lc)), false)),
										   con->connoinherit ? " NO INHERIT" : ""));
	}
}

const char *
tenancy_clone_compression_name(char compression)
{
	return compression == 'l' ? "lz4" : compression == 'p' ? "pglz" : "default";
}

/* "name type ...", or for a typed table what is to be said beyond its type. */
static void
append_column(Model *m, StringInfo buf, Table *table, Form_pg_attribute att, bool typed)
{
	Object	   *def = tenancy_clone_find_default(table, att->attnum);
	Form_pg_constraint not_null = tenancy_clone_find_not_null(table->constraints, att->attnum);

	appendStringInfoString(buf, tenancy_clone_identifier(att->attname));
	if (typed)
		appendStringInfoString(buf, " WITH OPTIONS");
	else
		tenancy_clone_append_type(buf, att);
	if (att->attcompression != '\0' && !typed && !tenancy_clone_is_inherited_column(table, att))
		appendStringInfo(buf, " COMPRESSION %s", tenancy_clone_compression_name(att->attcompression));
	if (def != NULL && def->inlined && att->attgenerated != '\0')
		appendStringInfo(buf, " GENERATED ALWAYS AS (%s) %s", tenancy_clone_deparse(table, def->expr),
						 att->attgenerated == ATTRIBUTE_GENERATED_STORED ? "STORED" : "VIRTUAL");
	else if (def != NULL && def->inlined)
		appendStringInfo(buf, " DEFAULT %s", tenancy_clone_deparse(NULL, def->expr));
	if (find_identity_sequence(table, att) != NULL)
		append_identity(m, buf, table, att);
	if (!att->attnotnull ||
		(not_null != NULL && (!not_null->convalidated || (table->inherits && !not_null->conislocal))))
		return;
	tenancy_clone_append_not_null(buf, not_null ? &not_null->conname : NULL);
	if (not_null != NULL && not_null->connoinherit)
		appendStringInfoString(buf, " NO INHERIT");
}

static void
append_columns(Model *m, StringInfo buf, Table *table, bool *first)
{
	bool		typed = OidIsValid(ROW(Form_pg_class, table->object.row)->reloftype);
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));
		Object	   *def = tenancy_clone_find_default(table, att->attnum);

		if (tenancy_clone_is_inherited_column(table, att) && !att->attislocal)
			continue;
		if (typed && !att->attnotnull && att->attidentity == '\0' &&
			(def == NULL || !def->inlined))
			continue;
		if (!*first)
			appendStringInfoString(buf, ", ");
		append_column(m, buf, table, att, typed);
		*first = false;
	}
}

/* "(parent, ...)" */
static char *
parent_list(const Table *table)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, table->parents)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(get_rel_name(lfirst_oid(lc))));
	return buf.data;
}

/* What follows the columns. */
static void
append_table_properties(StringInfo buf, const Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	char	   *options = tenancy_clone_relation_options(table->object.row);

	if (table->inherits)
		appendStringInfo(buf, " INHERITS (%s)", parent_list(table));
	if (class->relkind == RELKIND_PARTITIONED_TABLE)
		appendStringInfo(buf, " PARTITION BY %s",
						 TextDatumGetCString(DirectFunctionCall1(pg_get_partkeydef,
																 ObjectIdGetDatum(table->object.oid))));
	if (OidIsValid(class->relam) && class->relam != HEAP_TABLE_AM_OID)
		appendStringInfo(buf, " USING %s", quote_identifier(get_am_name(class->relam)));
	if (options[0] != '\0')
		appendStringInfo(buf, " WITH (%s)", options);
	if (OidIsValid(class->reltablespace))
		appendStringInfo(buf, " TABLESPACE %s",
						 tenancy_clone_tablespace_identifier(class->reltablespace));
}

/*
 * Would CREATE TABLE ... INHERITS put the columns in the order in which they
 * are: the parents' first, then its own?
 */
static bool
has_natural_order(Model *m, const Table *table)
{
	List	   *expected = NIL; /* names */
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table->parents)
	{
		foreach(lc2, tenancy_clone_find_table(m, lfirst_oid(lc))->columns)
		{
			char	   *name = NameStr(ROW(Form_pg_attribute, lfirst(lc2))->attname);
			bool		found = false;
			ListCell   *lc3;

			foreach(lc3, expected)
				found = found || strcmp(lfirst(lc3), name) == 0;
			if (!found)
				expected = lappend(expected, name);
		}
	}
	if (list_length(expected) > list_length(table->columns))
		return false;
	forboth(lc, expected, lc2, table->columns)
	{
		if (strcmp(lfirst(lc), NameStr(ROW(Form_pg_attribute, lfirst(lc2))->attname)) != 0)
			return false;
	}
	return true;
}

/* Has a column that may be null a parent that says NOT NULL? */
static bool
has_dropped_not_null(Model *m, const Table *table)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		foreach(lc2, table->parents)
		{
			Form_pg_attribute theirs = tenancy_clone_find_column_by_name(tenancy_clone_find_table(m, lfirst_oid(lc2)),
																		 NameStr(att->attname));

			if (theirs != NULL && theirs->attnotnull && !att->attnotnull)
				return true;
		}
	}
	return false;
}

/*
 * Decide how a child gets to its parents: created with them, or afterwards, where its
 * columns are in another order, as when a parent has got a column later.  The
 * parents have been placed.
 */
void
tenancy_clone_choose_inheritance(Model *m, Table *table)
{
	if (table->parents == NIL || ROW(Form_pg_class, table->object.row)->relispartition)
		return;
	table->inherits = has_natural_order(m, table);
	if (!table->inherits && has_dropped_not_null(m, table))
		tenancy_clone_refuse(m, RelationRelationId, table->object.oid,
							 "has inherited columns in another order than its parents, and not their NOT NULL");
}

static void
attach_partition(Model *m, const Table *table)
{
	bool		isnull;
	Datum		bound = SysCacheGetAttr(RELOID, table->object.row,
										Anum_pg_class_relpartbound, &isnull);

	if (isnull)
		elog(ERROR, "partition %s has no bound", table->object.name);
	tenancy_clone_emit(m, psprintf("ALTER TABLE ONLY %s ATTACH PARTITION %s %s",
								   quote_identifier(get_rel_name(linitial_oid(table->parents))),
								   table->object.name,
								   tenancy_clone_deparse(NULL, stringToNode(TextDatumGetCString(bound)))));
}

/* Make an inherited column an identity column. */
static void
add_inherited_identities(Model *m, const Table *table)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));
		char	   *prefix;
		StringInfoData buf;

		if (!tenancy_clone_is_inherited_column(table, att) || att->attislocal ||
			find_identity_sequence(table, att) == NULL)
			continue;
		prefix = psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s",
						  table->object.name, tenancy_clone_identifier(att->attname));
		tenancy_clone_emit(m, psprintf("%s SET NOT NULL", prefix));
		initStringInfo(&buf);
		appendStringInfo(&buf, "%s ADD", prefix);
		append_identity(m, &buf, table, att);
		tenancy_clone_emit(m, buf.data);
	}
}

void
tenancy_clone_create_table(Model *m, Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	bool		first = true;
	int			start;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sTABLE %s ",
					 class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
					 table->object.name);
	if (OidIsValid(class->reloftype))
		appendStringInfo(&buf, "OF %s ", format_type_be(class->reloftype));
	start = buf.len;
	appendStringInfoChar(&buf, '(');
	append_columns(m, &buf, table, &first);
	tenancy_clone_append_constraints(&buf, &table->object, ", ", &first);
	appendStringInfoChar(&buf, ')');
	if (first && OidIsValid(class->reloftype))
	{
		/* "()" is not accepted here. */
		buf.len = start;
		buf.data[start] = '\0';
	}
	append_table_properties(&buf, table);
	tenancy_clone_emit(m, buf.data);
	add_unvalidated_not_nulls(m, table);

	if (class->relispartition)
		attach_partition(m, table);
	else if (!table->inherits)
	{
		foreach(lc, table->parents)
			tenancy_clone_emit(m, psprintf("ALTER TABLE %s INHERIT %s", table->object.name,
										   quote_identifier(get_rel_name(lfirst_oid(lc)))));
	}
	add_inherited_identities(m, table);
	adjust_identity_sequences(m, table);
}

/* Does a query read a relation?  A view's has the view itself among its tables, too. */
static bool
reads_relation(Node *node, void *context)
{
	const Oid  *relid = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, reads_relation, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->relid == *relid && rte->inFromCl)
			return true;
	}
	return query_tree_walker((Query *) node, reads_relation, context, 0);
}

/* A view's query. */
static char *
view_query(Model *m, const Table *view)
{
	Query	   *query = NULL;
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_REWRITE, view->object.oid))
	{
		if (ROW(Form_pg_rewrite, lfirst(lc))->oid == view->return_rule)
			query = linitial(stringToNode(tenancy_clone_attr_text(&m->catalogs, CAT_REWRITE, lfirst(lc),
																  Anum_pg_rewrite_ev_action)));
	}
	if (query == NULL)
		elog(ERROR, "view %s has no query", view->object.name);
	if (reads_relation((Node *) query, unconstify(Oid *, &view->object.oid)))
		tenancy_clone_refuse(m, RelationRelationId, view->object.oid, "reads itself");
	return pg_get_querydef(query, false);
}

static void
append_view_columns(StringInfo buf, const Table *view)
{
	ListCell   *lc;

	foreach(lc, view->columns)
		appendStringInfo(buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : " (",
						 tenancy_clone_identifier(ROW(Form_pg_attribute, lfirst(lc))->attname));
	appendStringInfo(buf, "%s", view->columns != NIL ? ")" : "");
}

void
tenancy_clone_create_view(Model *m, Table *view)
{
	char	   *options = tenancy_clone_relation_options(view->object.row);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE VIEW %s", view->object.name);
	append_view_columns(&buf, view);
	if (options[0] != '\0')
		appendStringInfo(&buf, " WITH (%s)", options);
	appendStringInfo(&buf, " AS %s", view_query(m, view));
	tenancy_clone_emit(m, buf.data);
}

/* It is filled when all that its query may come upon is there. */
void
tenancy_clone_create_matview(Model *m, Table *view)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE MATERIALIZED VIEW %s", view->object.name);
	append_view_columns(&buf, view);
	append_table_properties(&buf, view);
	appendStringInfo(&buf, " AS %s WITH NO DATA", view_query(m, view));
	tenancy_clone_emit(m, buf.data);
	if (ROW(Form_pg_class, view->object.row)->relispopulated)
		m->refreshes = lappend(m->refreshes, psprintf("REFRESH MATERIALIZED VIEW %s", view->object.name));
}
