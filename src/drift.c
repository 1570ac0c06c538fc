/*-------------------------------------------------------------------------
 *
 * drift.c
 *	  drift(): how tenants' copies differ from their models.
 *
 * A copy and its model are described and compared, see drift_describe.c; what is
 * in a tenant's database, by a worker there (drift_database.c).  Copies of a model in
 * schemas are mostly the same: a digest (drift_digest.c) tells which ones are, and
 * of these only the first is compared.
 *
 * Tenants are taken in batches, in the order of their slugs, so that memory does not
 * grow with their number.
 *
 * Reads committed state, takes no locks, runs nobody's code.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "database_settle.h"
#include "drift.h"
#include "drift_database.h"
#include "drift_describe.h"
#include "drift_digest.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "policy.h"
#include "progress.h"
#include "registry.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_drift);

/* How many tenants are read at once, under one snapshot. */
#define BATCH 100

/* How many descriptions fill the session's caches before they are dropped. */
#define DESCRIBED_MAX 20

/* How many findings are kept for other copies that are the same. */
#define KEPT_MAX 10000

/* How often a copy is compared that is migrated meanwhile. */
#define MAX_TRIES 3

/* A copy of a module, in a schema or a database */
typedef struct Copy
{
	const char *tenant;
	const char *module;
	int			level;
	int			model_level;
	TenancyPlace place;
	TenancyPlace model;
	TenancyDigestSchema schema; /* for its digest; of schemas only */
	Oid			database;		/* of databases only: */
	bool		is_ours;
} Copy;

/* A model as it was at a level */
typedef struct Model
{
	TenancyPlace place;
	int			level;
	TenancyDescription *description;
} Model;

/* Hash key: no padding */
typedef struct SeenKey
{
	TenancyDigest digest;
	uint32		model;
	int32		level;
} SeenKey;

StaticAssertDecl(sizeof(SeenKey) == sizeof(uint64) * 3, "hash key has padding");

/* What was found about copies with this digest */
typedef struct Seen
{
	SeenKey		key;			/* must be first */
	List	   *findings;
} Seen;

/* A call */
typedef struct Drift
{
	ReturnSetInfo *rsinfo;
	MemoryContext context;		/* lives as long as the call */
	List	   *models;
	HTAB	   *seen;
	int			kept;			/* findings in it */
	int			described;		/* since caches were dropped */
	int			done;
	int			total;
	TenancyProgress progress;
} Drift;


/* ----------------------------------------------------------------
 * Reporting
 * ----------------------------------------------------------------
 */

static void
report(ReturnSetInfo *rsinfo, const char *tenant, const char *module,
	   const char *object, const char *difference)
{
	Datum		values[4];
	bool		nulls[4] = {tenant == NULL, false, false, false};

	values[0] = tenant == NULL ? (Datum) 0 : CStringGetTextDatum(tenant);
	values[1] = CStringGetTextDatum(module);
	values[2] = CStringGetTextDatum(object);
	values[3] = CStringGetTextDatum(difference);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
report_findings(Drift *drift, const Copy *copy, List *findings)
{
	ListCell   *lc;

	foreach(lc, findings)
	{
		TenancyFinding *finding = lfirst(lc);

		report(drift->rsinfo, copy->tenant, copy->module, finding->object, finding->difference);
	}
}

/* A tenant is done: tell the caller how far we are, unless all takes hardly any time. */
static void
report_progress(Drift *drift)
{
	drift->done++;
	if (tenancy_progress_is_due(&drift->progress))
		tenancy_progress_tell(psprintf(_("compared %d of %d tenants, %.1f tenants/s, about %.0f s remaining"),
									   drift->done, drift->total,
									   tenancy_progress_rate(&drift->progress, drift->done),
									   tenancy_progress_remaining(&drift->progress, drift->done, drift->total)));
}


/* ----------------------------------------------------------------
 * Copies
 * ----------------------------------------------------------------
 */

/* The copies that are schemas of the tenants that a condition on "t" selects. */
static List *
read_schemas(const char *condition)
{
	List	   *copies = NIL;
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT tenant_id, tenant, module, level, model_level, namespace, schema_name,"
								" main_namespace, main_schema, model, model_schema,"
								" (SELECT m.model_schema FROM tenancy.module m WHERE m.position OPERATOR(pg_catalog.=) 1),"
								" position, tenancy.drift_schema_privileges(namespace, tenant_id, 'copy'),"
								" (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(m.model_schema), ', ' ORDER BY m.position) FROM tenancy.module m"
								"  WHERE EXISTS (SELECT FROM pg_catalog.pg_namespace n"
								"   JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
								"    AND d.refobjid OPERATOR(pg_catalog.=) n.oid"
								"   JOIN pg_catalog.pg_depend e ON e.classid OPERATOR(pg_catalog.=) d.classid AND e.objid OPERATOR(pg_catalog.=) d.objid"
								"    AND e.deptype OPERATOR(pg_catalog.=) 'e' WHERE n.nspname OPERATOR(pg_catalog.=) m.model_schema))"
								" FROM tenancy.drift_copy WHERE tenant_id OPERATOR(pg_catalog.=) ANY (ARRAY("
								"SELECT t.id FROM tenancy.tenant t WHERE t.mode OPERATOR(pg_catalog.=) 'schema'"
								" AND t.status OPERATOR(pg_catalog.<>) 'dropping' AND %s)) ORDER BY tenant, position",
								condition);
	old = MemoryContextSwitchTo(exec.caller_context);
	for (uint64 i = 0; i < nrows; i++)
	{
		Copy	   *copy = palloc0(sizeof(Copy));

		copy->place.tenant_id = tenancy_drift_column(i, 1);
		copy->place.side = "copy";
		copy->model.side = "model";
		(void) tenancy_ident_parse_uuid(copy->place.tenant_id, &copy->schema.tenant);
		copy->tenant = tenancy_drift_column(i, 2);
		copy->module = tenancy_drift_column(i, 3);
		copy->level = atoi(tenancy_drift_column(i, 4));
		copy->model_level = atoi(tenancy_drift_column(i, 5));
		copy->place.namespace = copy->schema.namespace = tenancy_drift_column_oid(i, 6);
		copy->place.schema = tenancy_drift_column(i, 7);
		copy->schema.main_namespace = tenancy_drift_column_oid(i, 8);
		copy->place.main_schema = tenancy_drift_column(i, 9);
		copy->model.namespace = tenancy_drift_column_oid(i, 10);
		copy->model.schema = tenancy_drift_column(i, 11);
		copy->model.main_schema = tenancy_drift_column(i, 12);
		copy->schema.position = atoi(tenancy_drift_column(i, 13));
		copy->schema.privileges = tenancy_drift_column(i, 14);
		copy->place.homes = tenancy_drift_column(i, 15);
		copies = lappend(copies, copy);
	}
	MemoryContextSwitchTo(old);
	tenancy_exec_end(&exec);
	return copies;
}

/* The same for those that are in databases. */
static List *
read_databases(const char *condition)
{
	List	   *copies = NIL;
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT t.slug, m.name, c.level, m.level, n.oid, m.model_schema,"
								" (SELECT f.model_schema FROM tenancy.module f WHERE f.position OPERATOR(pg_catalog.=) 1),"
								" d.oid, " TENANCY_DATABASE_IS_OURS
								" FROM tenancy.tenant t"
								" JOIN tenancy.module_copy c ON c.tenant_id OPERATOR(pg_catalog.=) t.id"
								" JOIN tenancy.module m ON m.name OPERATOR(pg_catalog.=) c.module"
								" LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
								" LEFT JOIN pg_catalog.pg_database d ON d.datname OPERATOR(pg_catalog.=) t.database_name"
								" WHERE t.mode OPERATOR(pg_catalog.=) 'database'"
								" AND t.status OPERATOR(pg_catalog.<>) 'dropping' AND %s ORDER BY t.slug, m.position",
								MyDatabaseId, condition);
	old = MemoryContextSwitchTo(exec.caller_context);
	for (uint64 i = 0; i < nrows; i++)
	{
		Copy	   *copy = palloc0(sizeof(Copy));

		copy->tenant = tenancy_drift_column(i, 1);
		copy->module = tenancy_drift_column(i, 2);
		copy->level = atoi(tenancy_drift_column(i, 3));
		copy->model_level = atoi(tenancy_drift_column(i, 4));
		copy->model.namespace = tenancy_drift_column_oid(i, 5);
		copy->model.schema = tenancy_drift_column(i, 6);
		copy->model.main_schema = tenancy_drift_column(i, 7);
		copy->model.side = "template";
		copy->database = tenancy_drift_column_oid(i, 8);
		copy->is_ours = strcmp(tenancy_drift_column(i, 9), "t") == 0;
		copies = lappend(copies, copy);
	}
	MemoryContextSwitchTo(old);
	tenancy_exec_end(&exec);
	return copies;
}

static char *
slug_is(const char *slug)
{
	return psprintf("t.slug OPERATOR(pg_catalog.=) %s", quote_literal_cstr(slug));
}

/* A module's copy, of those of one tenant; NULL if there is none. */
static Copy *
find_copy(List *copies, const char *module)
{
	ListCell   *lc;

	foreach(lc, copies)
	{
		if (strcmp(((Copy *) lfirst(lc))->module, module) == 0)
			return lfirst(lc);
	}
	return NULL;
}

/* Is the copy where it was, and what it was a copy of? */
static bool
is_as_before(const Copy *copy, const Copy *now)
{
	return now != NULL && now->level == copy->level && now->model_level == copy->model_level &&
		now->place.namespace == copy->place.namespace && now->database == copy->database &&
		now->model.namespace == copy->model.namespace;
}


/* ----------------------------------------------------------------
 * Comparing
 * ----------------------------------------------------------------
 */

/* What is to be said of the copy as a whole, and makes a comparison pointless. */
static List *
find_obstacle(const Copy *copy, bool is_there)
{
	int			behind = copy->model_level - copy->level;

	if (!is_there)
		return tenancy_drift_add(NIL, "the schema", "missing");
	if (behind > 0)
		return tenancy_drift_add(NIL, "the schema",
								 psprintf(ngettext("behind its model by %d migration: call migrate()",
												   "behind its model by %d migrations: call migrate()", behind), behind));
	if (behind < 0)
		return tenancy_drift_add(NIL, "the schema",
								 psprintf(ngettext("ahead of its model by %d migration: call migrate() or rollback()",
												   "ahead of its model by %d migrations: call migrate() or rollback()", -behind), -behind));
	return NIL;
}

/* The description of a copy's model, made when it is first needed. */
static const TenancyDescription *
describe_model(Drift *drift, const Copy *copy)
{
	MemoryContext old;
	Model	   *model;
	ListCell   *lc;

	foreach(lc, drift->models)
	{
		model = lfirst(lc);
		if (model->place.namespace == copy->model.namespace && model->level == copy->model_level &&
			strcmp(model->place.side, copy->model.side) == 0)
			return model->description;
	}
	old = MemoryContextSwitchTo(drift->context);
	model = palloc(sizeof(Model));
	model->place = copy->model;
	model->place.schema = pstrdup(copy->model.schema);
	model->place.main_schema = pstrdup(copy->model.main_schema);
	model->level = copy->model_level;
	model->description = tenancy_drift_describe(&model->place);
	drift->models = lappend(drift->models, model);
	MemoryContextSwitchTo(old);
	return model->description;
}

static List *
compare_with_model(Drift *drift, const Copy *copy, const TenancyDescription *here)
{
	return tenancy_drift_compare(here, describe_model(drift, copy));
}


/* ----------------------------------------------------------------
 * Schemas
 * ----------------------------------------------------------------
 */

static const TenancyDescription *
describe_schema(Drift *drift, const Copy *copy)
{
	if (drift->described++ >= DESCRIBED_MAX)
	{
		InvalidateSystemCaches();
		drift->described = 0;
	}
	return tenancy_drift_describe(&copy->place);
}

/* Keep what was found of copies with a digest. */
static void
keep_findings(Drift *drift, const SeenKey *key, List *findings)
{
	MemoryContext old = MemoryContextSwitchTo(drift->context);
	Seen	   *seen = hash_search(drift->seen, key, HASH_ENTER, NULL);
	ListCell   *lc;

	seen->findings = NIL;
	foreach(lc, findings)
	{
		TenancyFinding *finding = lfirst(lc);

		seen->findings = tenancy_drift_add(seen->findings, pstrdup(finding->object), pstrdup(finding->difference));
	}
	drift->kept += list_length(findings);
	MemoryContextSwitchTo(old);
}

/* Is what was found of a copy true of others with the same digest, word for word? */
static bool
is_true_of_others(const Copy *copy, List *findings)
{
	ListCell   *lc;

	foreach(lc, findings)
	{
		TenancyFinding *finding = lfirst(lc);

		if (strstr(finding->object, copy->place.main_schema) || strstr(finding->difference, copy->place.main_schema) ||
			strstr(finding->object, copy->place.tenant_id) || strstr(finding->difference, copy->place.tenant_id))
			return false;
	}
	return true;
}

/*
 * Compare a copy and report.  One that is migrated while we look at it would seem
 * to differ: then look again.
 */
static void
compare_schema(Drift *drift, const SeenKey *key, const Copy *copy)
{
	List	   *findings;
	bool		as_before = false;

	for (int tries = 0;; tries++)
	{
		Copy	   *now;

		findings = find_obstacle(copy, OidIsValid(copy->place.namespace));
		if (findings == NIL)
			findings = compare_with_model(drift, copy, describe_schema(drift, copy));
		now = find_copy(read_schemas(slug_is(copy->tenant)), copy->module);
		as_before = tries == 0 && is_as_before(copy, now);
		if (now == NULL)
			return;				/* dropped meanwhile */
		if (is_as_before(copy, now) || tries >= MAX_TRIES)
			break;
		copy = now;
	}
	report_findings(drift, copy, findings);
	if (as_before && drift->kept + list_length(findings) <= KEPT_MAX && is_true_of_others(copy, findings))
		keep_findings(drift, key, findings);
}

/* Compare a copy, unless another with the same digest has been. */
static void
look_at_schema(Drift *drift, TenancyDigester *digester, const Copy *copy)
{
	List	   *obstacle = find_obstacle(copy, OidIsValid(copy->place.namespace));
	SeenKey		key;
	Seen	   *seen;
	MemoryContext context;
	MemoryContext old;

	if (obstacle != NIL || !OidIsValid(copy->model.namespace))
	{
		report_findings(drift, copy, obstacle);
		return;
	}
	key.digest = tenancy_digest_schema(digester, &copy->schema);
	key.model = copy->model.namespace;
	key.level = copy->model_level;
	seen = hash_search(drift->seen, &key, HASH_FIND, NULL);
	if (seen != NULL)
	{
		report_findings(drift, copy, seen->findings);
		return;
	}
	context = AllocSetContextCreate(CurrentMemoryContext, "tenancy drift of a copy", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	compare_schema(drift, &key, copy);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Compare the copies of some tenants. */
static void
compare_schemas(Drift *drift, List *slugs)
{
	TenancyDigester *digester = tenancy_digest_open();
	StringInfoData list;
	const char *tenant = NULL;
	ListCell   *lc;

	initStringInfo(&list);
	foreach(lc, slugs)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	foreach(lc, read_schemas(psprintf("t.slug OPERATOR(pg_catalog.=) ANY (ARRAY[%s])", list.data)))
	{
		Copy	   *copy = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (tenant != NULL && strcmp(copy->tenant, tenant) != 0)
			report_progress(drift);
		tenant = copy->tenant;
		look_at_schema(drift, digester, copy);
	}
	if (tenant != NULL)
		report_progress(drift);
	tenancy_digest_close(digester);
}


/* ----------------------------------------------------------------
 * Databases
 * ----------------------------------------------------------------
 */

/* The findings of a tenant's copies, each list in the place of its copy. */
static List *
find_in_database(Drift *drift, List *copies)
{
	List	   *results = NIL;
	List	   *descriptions = tenancy_drift_describe_database(((Copy *) linitial(copies))->database);
	ListCell   *lc;

	foreach(lc, copies)
	{
		Copy	   *copy = lfirst(lc);
		const TenancyDescription *here = tenancy_drift_find_description(descriptions, copy->model.schema);
		List	   *findings = find_obstacle(copy, here != NULL);

		if (findings == NIL && OidIsValid(copy->model.namespace))
			findings = compare_with_model(drift, copy, here);
		results = lappend(results, findings);
	}
	return results;
}

/* Are all copies where they were? */
static bool
are_as_before(List *copies, List *now)
{
	ListCell   *lc;

	foreach(lc, copies)
	{
		Copy	   *copy = lfirst(lc);

		if (!is_as_before(copy, find_copy(now, copy->module)))
			return false;
	}
	return true;
}

/* Compare what is in a tenant's database; see compare_schema(). */
static void
compare_database(Drift *drift, const char *slug)
{
	List	   *copies = read_databases(slug_is(slug));
	List	   *results;
	ListCell   *lc;
	ListCell   *lc2;

	for (int tries = 0;; tries++)
	{
		Copy	   *copy = copies == NIL ? NULL : linitial(copies);
		List	   *now;

		if (copy == NULL)
			return;				/* dropped meanwhile */
		if (!copy->is_ours)
		{
			report(drift->rsinfo, slug, copy->module, "the database",
				   OidIsValid(copy->database) ? "another application's: see repair()" : "missing");
			return;
		}
		results = find_in_database(drift, copies);
		now = read_databases(slug_is(slug));
		if (are_as_before(copies, now) || tries >= MAX_TRIES)
			break;
		copies = now;
	}
	forboth(lc, copies, lc2, results)
		report_findings(drift, lfirst(lc), lfirst(lc2));
}

static void
compare_databases(Drift *drift, List *slugs)
{
	ListCell   *lc;

	foreach(lc, slugs)
	{
		CHECK_FOR_INTERRUPTS();
		compare_database(drift, lfirst(lc));
		report_progress(drift);
	}
}


/* ----------------------------------------------------------------
 * All of it
 * ----------------------------------------------------------------
 */

static HTAB *
create_seen(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(SeenKey);
	ctl.entrysize = sizeof(Seen);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("tenancy drift", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static int
count_tenants(const char *mode)
{
	List	   *count = tenancy_exec_list_as(tenancy_registry_owner(),
											 psprintf("SELECT pg_catalog.count(*) FROM tenancy.tenant"
													  " WHERE mode OPERATOR(pg_catalog.=) '%s'"
													  " AND status NOT IN ('dropping', 'spare')", mode));

	return atoi(linitial(count));
}

/* The slugs of the tenants that come after one. */
static List *
next_tenants(const char *mode, const char *after)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								psprintf("SELECT slug FROM tenancy.tenant WHERE mode OPERATOR(pg_catalog.=) '%s'"
										 " AND status NOT IN ('dropping', 'spare') AND slug OPERATOR(pg_catalog.>) %s"
										 " ORDER BY slug LIMIT %d", mode, quote_literal_cstr(after), BATCH));
}

/* Compare the copies of all tenants of a mode, in batches. */
static void
compare_all(Drift *drift, const char *mode, void (*compare) (Drift *drift, List *slugs))
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy drift",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	char		after[NAMEDATALEN] = "";
	List	   *slugs;

	while ((slugs = next_tenants(mode, after)) != NIL)
	{
		strlcpy(after, llast(slugs), NAMEDATALEN);
		compare(drift, slugs);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * The model's tables are the shared tenants' own: they can lack protection,
 * which is the same for all tenants.
 */
static void
report_unprotected(ReturnSetInfo *rsinfo, const TenancyTenant *tenant)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		if (tenant != NULL && module->position > 1 && !tenancy_registry_is_installed(tenant, module))
			continue;
		foreach(lc2, tenancy_policy_unprotected(module))
			report(rsinfo, tenant ? tenant->slug : NULL, module->name,
				   psprintf("table %s", (char *) lfirst(lc2)),
				   "protection is missing: call protect_module()");
	}
}

static void
begin(Drift *drift)
{
	ListCell   *lc;

	/* Nothing could be told from a copy whose model is missing. */
	foreach(lc, tenancy_registry_modules())
		(void) tenancy_registry_model_schema(lfirst(lc));
	drift->context = CurrentMemoryContext;
	drift->seen = create_seen();
	tenancy_progress_start(&drift->progress);
}

static void
drift_of_all(Drift *drift)
{
	int			databases = count_tenants("database");

	if (count_tenants("shared") > 0)
		report_unprotected(drift->rsinfo, NULL);
	if (databases > 0 && RecoveryInProgress())
	{
		ereport(NOTICE,
				(errmsg("tenants' databases are not compared on a standby")));
		databases = 0;
	}
	drift->total = databases + count_tenants("schema");
	compare_all(drift, "schema", compare_schemas);
	if (databases > 0)
		compare_all(drift, "database", compare_databases);
}

static void
drift_of_tenant(Drift *drift, const TenancyTenant *tenant)
{
	List	   *slugs = list_make1(pstrdup(tenant->slug));

	drift->total = 1;
	if (tenant->mode == TENANCY_SHARED)
		report_unprotected(drift->rsinfo, tenant);
	else if (tenant->mode == TENANCY_SCHEMA)
		compare_schemas(drift, slugs);
	else
	{
		tenancy_registry_refuse_on_standby();	/* there are no workers */
		compare_databases(drift, slugs);
	}
}

/* drift(tenant text) */
Datum
tenancy_drift(PG_FUNCTION_ARGS)
{
	Drift		drift = {.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo};
	TenancyTenant tenant;

	InitMaterializedSRF(fcinfo, 0);
	tenancy_registry_refuse_home();
	begin(&drift);
	if (PG_ARGISNULL(0))
		drift_of_all(&drift);
	else
	{
		tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
		drift_of_tenant(&drift, &tenant);
	}
	tenancy_progress_end();
	return (Datum) 0;
}

/* Does a tenant's or a spare's copy differ from its model? */
bool
tenancy_drift_finds(const TenancyTenant *tenant)
{
	ReturnSetInfo rsinfo = {0};
	Drift		drift = {.rsinfo = &rsinfo};
	bool		found;

	rsinfo.setDesc = CreateTemplateTupleDesc(4);
	for (int i = 1; i <= 4; i++)
		TupleDescInitEntry(rsinfo.setDesc, i, NULL, TEXTOID, -1, 0);
	rsinfo.setResult = tuplestore_begin_heap(false, false, work_mem);
	begin(&drift);
	drift_of_tenant(&drift, tenant);
	found = tuplestore_tuple_count(rsinfo.setResult) > 0;
	tuplestore_end(rsinfo.setResult);
	return found;
}
