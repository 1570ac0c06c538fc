/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Tenants, modules and access: the rows, their cache, its invalidation.
 *
 * A backend keeps the tenants and access rights that it used.  A trigger on
 * each registry table raises a relcache invalidation of tenancy.tenant, which
 * reaches every backend of the database when the change commits; the callback
 * here then declares the whole cache stale.  That is enough: the registry
 * changes rarely, and a backend uses few tenants at a time.
 *
 * Invariants:
 *
 * - The registry is read as the system catalogs are: with a fresh snapshot
 *	 whatever the transaction's isolation level, so that a suspended tenant is
 *	 refused under REPEATABLE READ too, and without privilege checks, because
 *	 an ordinary role may not read these tables.
 * - Rows that the current transaction wrote are never cached, and neither is
 *	 the absence of a row.  So a rollback leaves nothing wrong in the cache,
 *	 and an INSERT need not invalidate anything.
 * - Callers get copies, never pointers into the cache: any lock that they
 *	 take can process an invalidation.
 * - The callback only sets flags; the cache is emptied when it is next used.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "compat.h"
#include "exec.h"
#include "fmgr.h"
#include "guc.h"
#include "ident.h"
#include "miscadmin.h"
#include "registry.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

PG_FUNCTION_INFO_V1(tenancy_registry_invalidate);

/* Cached right of a role to act for a tenant; there is no entry for "no". */
typedef struct AccessKey
{
	Oid			role;
	pg_uuid_t	id;
} AccessKey;

StaticAssertDecl(sizeof(AccessKey) == sizeof(Oid) + UUID_LEN,
				 "hash keys must have no padding");

typedef struct SlugEntry
{
	char		slug[NAMEDATALEN];	/* hash key: must be first */
	pg_uuid_t	id;
} SlugEntry;

/* The OIDs of our objects, looked up once. */
static struct
{
	bool		valid;
	Oid			schema;
	Oid			owner;			/* the extension's owner */
	Oid			tenant;
	Oid			tenant_pkey;
	Oid			tenant_slug_key;
	Oid			tenant_database_key;
	Oid			access;
	Oid			access_key;
	Oid			module;
	Oid			tenant_module;
	Oid			tenant_module_pkey;
}			objects;

static struct
{
	bool		valid;
	MemoryContext context;
	HTAB	   *by_id;			/* of TenancyTenant */
	HTAB	   *by_slug;		/* of SlugEntry */
	HTAB	   *access;			/* of AccessKey */
	List	   *modules;		/* of TenancyModule, in order of position */
	bool		modules_valid;
	bool		home_valid;
	bool		is_home;		/* this is the database of a tenant: */
	TenancyTenant home;
}			cache;


/* ----------------------------------------------------------------
 * Invalidation
 * ----------------------------------------------------------------
 */

static void
relcache_callback(Datum arg, Oid relid)
{
	/* REINDEX CONCURRENTLY puts others in place of their indexes. */
	if (relid == objects.access || relid == objects.tenant_module)
		objects.valid = false;
	if (relid != InvalidOid && relid != objects.tenant)
		return;
	cache.valid = false;
	objects.valid = false;
	tenancy_guc_serial++;
}

/* A role was altered or dropped, or its memberships changed. */
static void
role_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	cache.valid = false;
	tenancy_guc_serial++;
}

void
tenancy_registry_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, role_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_callback, (Datum) 0);
}

/* Trigger function of the registry's tables, for each statement. */
Datum
tenancy_registry_invalidate(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"tenancy.invalidate_registry")));
	CacheInvalidateRelcacheByRelid(tenancy_registry_relation("tenant"));
	return PointerGetDatum(NULL);
}


/* ----------------------------------------------------------------
 * Our objects
 * ----------------------------------------------------------------
 */

static Oid
require_relation(const char *name)
{
	Oid			relid = get_relname_relid(name, objects.schema);

	if (!OidIsValid(relid))
		elog(ERROR, "relation tenancy.%s does not exist", name);
	return relid;
}

/*
 * Read our row of pg_extension: its owner, and whether its SQL is of this
 * library's version.
 */
static Oid
read_extension(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner;
	bool		isnull;
	char	   *version;

	ScanKeyInit(&key, Anum_pg_extension_extname,
				BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("tenancy"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"tenancy\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION tenancy.")));

	owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	version = TextDatumGetCString(heap_getattr(tuple, Anum_pg_extension_extversion,
											   RelationGetDescr(rel), &isnull));
	if (strcmp(version, TENANCY_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the library of extension \"tenancy\" is of version %s, its SQL objects are of version %s",
						TENANCY_VERSION, version),
				 errhint("Run ALTER EXTENSION tenancy UPDATE, and open a new session after a change of the library.")));

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

static void
find_objects(void)
{
	if (objects.valid)
		return;

	objects.owner = read_extension();
	objects.schema = get_namespace_oid("tenancy", false);
	objects.tenant = require_relation("tenant");
	objects.tenant_pkey = require_relation("tenant_pkey");
	objects.tenant_slug_key = require_relation("tenant_slug_key");
	objects.tenant_database_key = require_relation("tenant_database_name_key");
	objects.access = require_relation("access");
	objects.access_key = require_relation("access_tenant_id_role_key");
	objects.module = require_relation("module");
	objects.tenant_module = require_relation("tenant_module");
	objects.tenant_module_pkey = require_relation("tenant_module_pkey");
	objects.valid = true;
}

/* The role that owns the extension, a superuser. */
Oid
tenancy_registry_owner(void)
{
	find_objects();
	return objects.owner;
}

/* The OID of one of our tables. */
Oid
tenancy_registry_relation(const char *name)
{
	find_objects();
	return require_relation(name);
}


/* ----------------------------------------------------------------
 * Tenants
 * ----------------------------------------------------------------
 */

/* Make the cache usable, emptying it where it is stale. */
static void
prepare_cache(void)
{
	HASHCTL		ctl;

	find_objects();
	if (cache.valid)
		return;

	if (cache.context != NULL)
		MemoryContextDelete(cache.context);
	memset(&cache, 0, sizeof(cache));
	cache.context = AllocSetContextCreate(CacheMemoryContext,
										  "tenancy registry",
										  ALLOCSET_DEFAULT_SIZES);

	memset(&ctl, 0, sizeof(ctl));
	ctl.hcxt = cache.context;
	ctl.keysize = sizeof(pg_uuid_t);
	ctl.entrysize = sizeof(TenancyTenant);
	cache.by_id = hash_create("tenancy tenants by id", 64, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(SlugEntry);
	cache.by_slug = hash_create("tenancy tenants by slug", 64, &ctl,
								HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	ctl.keysize = sizeof(AccessKey);
	ctl.entrysize = sizeof(AccessKey);
	cache.access = hash_create("tenancy access", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	cache.valid = true;
}

/*
 * May what this tuple says be cached?  Not if we wrote it ourselves, and not
 * if the cache became stale since serial was taken.
 */
static bool
may_cache(HeapTuple tuple, uint64 serial)
{
	return serial == tenancy_guc_serial &&
		cache.valid &&
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

const char *
tenancy_mode_text(TenancyMode mode)
{
	switch (mode)
	{
		case TENANCY_SHARED:
			return "shared";
		case TENANCY_SCHEMA:
			return "schema";
		case TENANCY_DATABASE:
			return "database";
	}
	elog(ERROR, "unrecognized isolation mode: %d", (int) mode);
	return NULL;				/* keep compiler quiet */
}

TenancyMode
tenancy_mode_from_text(const char *label)
{
	if (strcmp(label, "shared") == 0)
		return TENANCY_SHARED;
	if (strcmp(label, "schema") == 0)
		return TENANCY_SCHEMA;
	if (strcmp(label, "database") == 0)
		return TENANCY_DATABASE;
	elog(ERROR, "unrecognized isolation mode: \"%s\"", label);
	return TENANCY_SHARED;		/* keep compiler quiet */
}

/* A value of tenancy.isolation_mode as TenancyMode. */
TenancyMode
tenancy_mode_from_datum(Datum value)
{
	HeapTuple	tuple = SearchSysCache1(ENUMOID, value);
	TenancyMode mode;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for enum value %u", DatumGetObjectId(value));
	mode = tenancy_mode_from_text(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return mode;
}

static TenancyStatus
status_from_text(const char *status)
{
	if (strcmp(status, "active") == 0)
		return TENANCY_ACTIVE;
	if (strcmp(status, "suspended") == 0)
		return TENANCY_SUSPENDED;
	if (strcmp(status, "moving") == 0)
		return TENANCY_MOVING;
	if (strcmp(status, "dropping") == 0)
		return TENANCY_DROPPING;
	if (strcmp(status, "spare") == 0)
		return TENANCY_SPARE;
	elog(ERROR, "unrecognized tenant status: \"%s\"", status);
	return TENANCY_SUSPENDED;	/* keep compiler quiet */
}

static bool
is_spare_slug(const char *slug)
{
	return strncmp(slug, TENANCY_SPARE_PREFIX, strlen(TENANCY_SPARE_PREFIX)) == 0;
}

/*
 * This is the database of a spare that has been made a tenant's, and nobody has
 * told its registry what the tenant is called yet.
 */
static void
name_after_database(TenancyTenant *tenant)
{
	char	   *database = get_database_name(MyDatabaseId);
	const char *slug = database ? tenancy_ident_slug_of_database(database) : NULL;

	if (slug == NULL)
		return;
	strlcpy(tenant->slug, slug, sizeof(tenant->slug));
	strlcpy(tenant->database_name, database, NAMEDATALEN);
}

static void
read_tenant(HeapTuple tuple, TupleDesc desc, TenancyTenant *tenant)
{
	Datum		value;
	bool		isnull;

	memset(tenant, 0, sizeof(*tenant));
	value = heap_getattr(tuple, Anum_tenant_id, desc, &isnull);
	tenant->id = *DatumGetUUIDP(value);
	value = heap_getattr(tuple, Anum_tenant_slug, desc, &isnull);
	strlcpy(tenant->slug, TextDatumGetCString(value), sizeof(tenant->slug));
	value = heap_getattr(tuple, Anum_tenant_mode, desc, &isnull);
	tenant->mode = tenancy_mode_from_datum(value);
	value = heap_getattr(tuple, Anum_tenant_status, desc, &isnull);
	tenant->status = status_from_text(TextDatumGetCString(value));
	value = heap_getattr(tuple, Anum_tenant_schema_name, desc, &isnull);
	if (!isnull)
		strlcpy(tenant->schema_name, NameStr(*DatumGetName(value)), NAMEDATALEN);
	value = heap_getattr(tuple, Anum_tenant_database_name, desc, &isnull);
	if (!isnull)
		strlcpy(tenant->database_name, NameStr(*DatumGetName(value)), NAMEDATALEN);
	value = heap_getattr(tuple, Anum_tenant_moved_in, desc, &isnull);
	if (!isnull)
		tenant->moved_in = DatumGetFullTransactionId(value);
	if (tenant->mode == TENANCY_DATABASE && tenant->status != TENANCY_SPARE && is_spare_slug(tenant->slug))
		name_after_database(tenant);
}

/* Find the tenant whose column attno has the value of key, and cache it. */
static bool
fetch_tenant(Oid index, ScanKey key, TenancyTenant *tenant)
{
	uint64		serial = tenancy_guc_serial;
	Relation	rel = table_open(objects.tenant, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, index, true, NULL, 1, key);
	HeapTuple	tuple = systable_getnext(scan);
	bool		found = HeapTupleIsValid(tuple);

	if (found)
	{
		read_tenant(tuple, RelationGetDescr(rel), tenant);
		tenant->is_ours =
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
		if (may_cache(tuple, serial))
		{
			SlugEntry  *by_slug;

			memcpy(hash_search(cache.by_id, &tenant->id, HASH_ENTER, NULL),
				   tenant, sizeof(*tenant));
			by_slug = hash_search(cache.by_slug, tenant->slug, HASH_ENTER, NULL);
			by_slug->id = tenant->id;
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* Look a tenant, or a spare, up by its id. */
bool
tenancy_registry_find(const pg_uuid_t *id, TenancyTenant *tenant)
{
	TenancyTenant *cached;
	ScanKeyData key;

	prepare_cache();
	cached = hash_search(cache.by_id, id, HASH_FIND, NULL);
	if (cached != NULL)
	{
		*tenant = *cached;
		return true;
	}
	ScanKeyInit(&key, Anum_tenant_id, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(id));
	return fetch_tenant(objects.tenant_pkey, &key, tenant);
}

/*
 * Lock a row, as SELECT does with FOR UPDATE and the like, and leave its latest
 * version in the slot; false if it is gone, or (LockWaitSkip) locked by others.
 */
bool
tenancy_registry_lock_row(Relation rel, const ItemPointerData *tid, LockTupleMode mode,
						  LockWaitPolicy policy, TupleTableSlot *slot)
{
	ItemPointerData at = *tid;
	TM_FailureData failure;

	return table_tuple_lock(rel, &at, GetActiveSnapshot(), slot, GetCurrentCommandId(false), mode, policy,
							TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS | TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
							&failure) == TM_Ok;
}

/* Read a tenant's or spare's row, past the cache, and lock it if that is asked for. */
static bool
fetch_row(const pg_uuid_t *id, bool share, TenancyTenant *tenant)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	find_objects();
	rel = table_open(objects.tenant, share ? RowShareLock : AccessShareLock);
	ScanKeyInit(&key, Anum_tenant_id, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(id));
	scan = systable_beginscan(rel, objects.tenant_pkey, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found && share)
	{
		TupleTableSlot *slot = table_slot_create(rel, NULL);

		found = tenancy_registry_lock_row(rel, &tuple->t_self, LockTupleShare, LockWaitSkip, slot);
		if (found)
			read_tenant(ExecFetchSlotHeapTuple(slot, false, NULL), RelationGetDescr(rel), tenant);
		ExecDropSingleTupleTableSlot(slot);
	}
	else if (found)
		read_tenant(tuple, RelationGetDescr(rel), tenant);
	systable_endscan(scan);
	table_close(rel, NoLock);
	return found;
}

/*
 * Look a tenant, or a spare, up by its id, without keeping it: for those who come
 * by each of them once.
 */
bool
tenancy_registry_peek(const pg_uuid_t *id, TenancyTenant *tenant)
{
	return fetch_row(id, false, tenant);
}

/*
 * The same, and lock its row to the end of the transaction, so that nobody changes
 * it; false also if somebody is about to.
 */
bool
tenancy_registry_try_share(const pg_uuid_t *id, TenancyTenant *tenant)
{
	return fetch_row(id, true, tenant);
}

/* Look a tenant up by its id. */
bool
tenancy_registry_by_id(const pg_uuid_t *id, TenancyTenant *tenant)
{
	return tenancy_registry_find(id, tenant) && tenant->status != TENANCY_SPARE;
}

/* Look a tenant up by its slug, which may be any text. */
bool
tenancy_registry_by_slug(const char *slug, TenancyTenant *tenant)
{
	SlugEntry  *cached;
	ScanKeyData key;

	if (strlen(slug) > TENANCY_SLUG_MAX)
		return false;
	prepare_cache();
	cached = hash_search(cache.by_slug, slug, HASH_FIND, NULL);
	if (cached != NULL)
		return tenancy_registry_by_id(&cached->id, tenant);
	ScanKeyEntryInitialize(&key, 0, Anum_tenant_slug, BTEqualStrategyNumber,
						   InvalidOid, C_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(slug));
	if (fetch_tenant(objects.tenant_slug_key, &key, tenant))
		return tenant->status != TENANCY_SPARE && !is_spare_slug(slug);
	return tenancy_registry_home(tenant) && strcmp(tenant->slug, slug) == 0;
}

/* Look a tenant up by its slug or the text of its id. */
bool
tenancy_registry_by_name(const char *slug_or_id, TenancyTenant *tenant)
{
	pg_uuid_t	id;

	if (tenancy_ident_parse_uuid(slug_or_id, &id))
		return tenancy_registry_by_id(&id, tenant);
	return tenancy_registry_by_slug(slug_or_id, tenant);
}

/* The same for an administrator's call: an unknown tenant is an error. */
void
tenancy_registry_get(const char *slug_or_id, TenancyTenant *tenant)
{
	if (!tenancy_registry_by_name(slug_or_id, tenant))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("tenant \"%s\" does not exist",
						tenancy_ident_clip(slug_or_id))));
}

/*
 * The same for a call that changes the tenant: lock its row to the end of the
 * transaction, and return it as it is then.  The lock does not hold up foreign
 * key checks, which the tenant's sessions make all the time.
 */
void
tenancy_registry_get_locked(const char *slug_or_id, TenancyTenant *tenant)
{
	tenancy_registry_get(slug_or_id, tenant);
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "SELECT FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s'"
						   " FOR NO KEY UPDATE",
						   tenancy_ident_uuid_text(&tenant->id));

	/* It may have been renamed or dropped while we waited. */
	AcceptInvalidationMessages();
	tenancy_registry_get(slug_or_id, tenant);
}

/* Read the registry for tenancy_registry_home(). */
static bool
fetch_home(TenancyTenant *tenant)
{
	ScanKeyData keys[2];
	NameData	database;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	namestrcpy(&database, get_database_name(MyDatabaseId));
	ScanKeyInit(&keys[0], Anum_tenant_database_name, BTEqualStrategyNumber,
				F_NAMEEQ, NameGetDatum(&database));
	if (fetch_tenant(objects.tenant_database_key, &keys[0], tenant))
		return true;

	/* In the application's database, such a slug's status says "spare". */
	ScanKeyEntryInitialize(&keys[0], 0, Anum_tenant_slug, BTGreaterEqualStrategyNumber,
						   InvalidOid, C_COLLATION_OID, F_TEXT_GE,
						   CStringGetTextDatum(TENANCY_SPARE_PREFIX));
	ScanKeyEntryInitialize(&keys[1], 0, Anum_tenant_slug, BTLessStrategyNumber,
						   InvalidOid, C_COLLATION_OID, F_TEXT_LT,
						   CStringGetTextDatum(TENANCY_SPARE_PREFIX "g"));
	rel = table_open(objects.tenant, AccessShareLock);
	scan = systable_beginscan(rel, objects.tenant_slug_key, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		read_tenant(tuple, RelationGetDescr(rel), tenant);
		found = tenant->mode == TENANCY_DATABASE && tenant->status != TENANCY_SPARE &&
			!is_spare_slug(tenant->slug);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Is this a tenant's own database?  If so, return the tenant.  Where a spare has
 * just been made the tenant's, its row has the spare's name still.
 */
bool
tenancy_registry_home(TenancyTenant *tenant)
{
	prepare_cache();
	if (!cache.home_valid)
	{
		uint64		serial = tenancy_guc_serial;
		bool		found = fetch_home(tenant);

		if (serial == tenancy_guc_serial && !(found && tenant->is_ours))
		{
			cache.is_home = found;
			if (found)
				cache.home = *tenant;
			cache.home_valid = true;
		}
		return found;
	}
	if (cache.is_home)
		*tenant = cache.home;
	return cache.is_home;
}

/* Is this database the tenant's own? */
bool
tenancy_registry_is_home(const TenancyTenant *tenant)
{
	TenancyTenant home;

	return tenant->mode == TENANCY_DATABASE &&
		tenancy_registry_home(&home) &&
		memcmp(&home.id, &tenant->id, UUID_LEN) == 0;
}

/* Refuse an administrator's call in a tenant's own database. */
void
tenancy_registry_refuse_home(void)
{
	TenancyTenant home;

	if (tenancy_registry_home(&home))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this is the database of tenant \"%s\"", home.slug),
				 errhint("Call this function in the application's database.")));
}

/*
 * Refuse to change anything on a standby.  It has no locks such as those that
 * we take, and no temporary tables, databases or files of its own, all of which
 * it says in words that help nobody, or starts workers first.
 */
void
tenancy_registry_refuse_on_standby(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change tenants on a standby server"),
				 errhint("Connect to the primary server.")));
}

/* And where nothing is to be changed: a worker's transaction would not be read-only. */
void
tenancy_registry_refuse_read_only(void)
{
	tenancy_registry_refuse_on_standby();
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot change tenants in a read-only transaction"),
				 errhint("Use SET TRANSACTION READ WRITE, or look at default_transaction_read_only.")));
}


/* ----------------------------------------------------------------
 * Modules
 * ----------------------------------------------------------------
 */

static int
compare_modules(const ListCell *a, const ListCell *b)
{
	const TenancyModule *left = lfirst(a);
	const TenancyModule *right = lfirst(b);

	return left->position - right->position;
}

static List *
read_modules(void)
{
	Relation	rel = table_open(objects.module, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *modules = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TenancyModule *module = palloc0(sizeof(TenancyModule));
		Datum		values[Natts_module];
		bool		nulls[Natts_module];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		strlcpy(module->name,
				TextDatumGetCString(values[Anum_module_name - 1]), NAMEDATALEN);
		strlcpy(module->model_schema,
				NameStr(*DatumGetName(values[Anum_module_model_schema - 1])),
				NAMEDATALEN);
		module->position = DatumGetInt32(values[Anum_module_position - 1]);
		module->level = DatumGetInt32(values[Anum_module_level - 1]);
		modules = lappend(modules, module);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(modules, compare_modules);
	return modules;
}

static List *
copy_modules(List *modules)
{
	List	   *copy = NIL;
	ListCell   *lc;

	foreach(lc, modules)
	{
		TenancyModule *module = palloc(sizeof(TenancyModule));

		*module = *(TenancyModule *) lfirst(lc);
		copy = lappend(copy, module);
	}
	return copy;
}

/*
 * All modules, in their order on the path, as a List of TenancyModule.
 *
 * They are cached without regard to who wrote them: here an INSERT raises an
 * invalidation too, and so does its rollback.
 */
List *
tenancy_registry_modules(void)
{
	prepare_cache();
	if (!cache.modules_valid)
	{
		uint64		serial = tenancy_guc_serial;
		List	   *modules = read_modules();
		MemoryContext old;

		if (serial != tenancy_guc_serial)
			return modules;
		old = MemoryContextSwitchTo(cache.context);
		cache.modules = copy_modules(modules);
		MemoryContextSwitchTo(old);
		cache.modules_valid = true;
		return modules;
	}
	return copy_modules(cache.modules);
}

/* Look a module up by its name. */
bool
tenancy_registry_module(const char *name, TenancyModule *module)
{
	ListCell   *lc;

	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *candidate = lfirst(lc);

		if (strcmp(candidate->name, name) == 0)
		{
			*module = *candidate;
			return true;
		}
	}
	return false;
}

/* The role that owns a schema; invalid if there is no such schema. */
Oid
tenancy_registry_schema_owner(const char *schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The module's model schema.  A DBA may have renamed or dropped it. */
Oid
tenancy_registry_model_schema(const TenancyModule *module)
{
	Oid			schema = get_namespace_oid(module->model_schema, true);

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("model schema \"%s\" of module \"%s\" does not exist",
						module->model_schema, module->name),
				 errhint("If it was renamed, give it that name again; otherwise restore it.")));
	return schema;
}

/* The role that owns the module's model schema. */
Oid
tenancy_registry_module_owner(const TenancyModule *module)
{
	Oid			owner = tenancy_registry_schema_owner(module->model_schema);

	if (!OidIsValid(owner))
		(void) tenancy_registry_model_schema(module);	/* an error */
	return owner;
}

/*
 * What is done in a schema of a model or of a copy is done as its owner, with code of
 * others: defaults, expressions of indexes, checks of domains.  create_module() takes no
 * superuser's, but a DBA may have given it to one since.
 */
void
tenancy_registry_refuse_superuser(const char *schema, Oid owner)
{
	if (superuser_arg(owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" is owned by a superuser", schema),
				 errdetail("What is done in it is done with the rights of the schema's owner, and never with a superuser's."),
				 errhint("Use ALTER SCHEMA %s OWNER TO a role that is no superuser, for its tables as well.",
						 quote_identifier(schema))));
}

/* Is the module, a plug-in, installed for the tenant? */
bool
tenancy_registry_is_installed(const TenancyTenant *tenant,
							  const TenancyModule *module)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData keys[2];
	bool		found;

	if (module->position == 1)
		return true;

	find_objects();
	ScanKeyInit(&keys[0], Anum_tenant_module_tenant_id,
				BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&tenant->id));
	ScanKeyEntryInitialize(&keys[1], 0, Anum_tenant_module_module,
						   BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID,
						   F_TEXTEQ, CStringGetTextDatum(module->name));
	rel = table_open(objects.tenant_module, AccessShareLock);
	scan = systable_beginscan(rel, objects.tenant_module_pkey, true, NULL, 2, keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* The modules that the tenant has, main module first, as a List of TenancyModule *. */
List *
tenancy_registry_installed(const TenancyTenant *tenant)
{
	List	   *installed = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_registry_modules())
	{
		if (tenancy_registry_is_installed(tenant, lfirst(lc)))
			installed = lappend(installed, lfirst(lc));
	}
	return installed;
}

/* The schema of a module that holds the tenant's tables: the model, or the tenant's copy of it. */
char *
tenancy_registry_schema(const TenancyTenant *tenant, const TenancyModule *module)
{
	if (tenant->mode != TENANCY_SCHEMA)
		return pstrdup(module->model_schema);
	if (module->position == 1)
		return pstrdup(tenant->schema_name);
	return tenancy_ident_schema(tenant->slug, module->name);
}

/* These schemas of all modules that the tenant has, main module first, as a List of char *. */
List *
tenancy_registry_schemas(const TenancyTenant *tenant)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_registry_installed(tenant))
		schemas = lappend(schemas, tenancy_registry_schema(tenant, lfirst(lc)));
	return schemas;
}

/*
 * Of the schemas of modules, main module first: those where code that runs as a role may
 * look for names.  Plug-ins of other owners have functions and operators that may fit
 * better than those that are meant.
 */
List *
tenancy_registry_trusted(List *schemas, Oid role)
{
	List	   *trusted = NIL;
	ListCell   *lc;

	foreach(lc, schemas)
	{
		if (foreach_current_index(lc) == 0 || tenancy_registry_schema_owner(lfirst(lc)) == role)
			trusted = lappend(trusted, lfirst(lc));
	}
	return trusted;
}

/* Add the tables of a schema, partitions included, to a list of OIDs. */
static List *
add_tables(List *tables, Oid schema)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dependency = (Form_pg_depend) GETSTRUCT(tuple);
		char		kind;

		if (dependency->classid != RelationRelationId)
			continue;
		kind = get_rel_relkind(dependency->objid);
		if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE)
			tables = lappend_oid(tables, dependency->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tables;
}

/*
 * The tables where the tenant's rows are, others' rows beside them if it is a
 * shared one, as a list of OIDs.  In model schemas it can write to the tables of
 * plug-ins that it has not, by their qualified names.
 */
List *
tenancy_registry_tables(const TenancyTenant *tenant)
{
	List	   *modules = tenant->mode == TENANCY_SCHEMA ? tenancy_registry_installed(tenant) :
		tenancy_registry_modules();
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, modules)
	{
		Oid			schema = get_namespace_oid(tenancy_registry_schema(tenant, lfirst(lc)), true);

		if (OidIsValid(schema))
			tables = add_tables(tables, schema);
	}
	return tables;
}

/*
 * Is the schema, if it is there, one that we made?  Where a tenant's schema was
 * dropped by hand, anybody with CREATE on the database may have made another
 * one of its name, with tables and functions of his own.  Ours are owned as
 * the models are; a superuser's is one that a DBA has put in its place.  If it is
 * none of those, and a model schema is missing, nobody can tell: an error.
 */
bool
tenancy_registry_is_foreign_schema(const char *schema)
{
	Oid			owner = tenancy_registry_schema_owner(schema);
	TenancyModule *missing = NULL;
	ListCell   *lc;

	if (!OidIsValid(owner))
		return false;
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);
		Oid			model_owner = tenancy_registry_schema_owner(module->model_schema);

		if (model_owner == owner)
			return false;
		if (!OidIsValid(model_owner))
			missing = module;
	}
	if (superuser_arg(owner))
		return false;
	if (missing != NULL)
		(void) tenancy_registry_module_owner(missing);	/* says so */
	return true;
}

void
tenancy_registry_refuse_foreign_schema(const TenancyTenant *tenant, const char *schema)
{
	if (tenancy_registry_is_foreign_schema(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" is not the one that was made for tenant \"%s\"",
						schema, tenant->slug),
				 errdetail("Its owner is not the owner of the model."),
				 errhint("Look at who made it and what is in it before you drop it, or change its owner.")));
}

/*
 * What is copied of a model schema, and the level that is noted for the copy,
 * must belong together.  Whoever copies holds this lock in share mode, whoever
 * migrates a model in exclusive mode, to the end of the transaction.
 */
void
tenancy_registry_lock_models(LOCKMODE mode)
{
	tenancy_registry_refuse_on_standby();
	find_objects();
	LockDatabaseObject(RelationRelationId, objects.module, 1, mode);
	AcceptInvalidationMessages();
}

/*
 * The same in exclusive mode, until it is released, for a migration that takes
 * more than one transaction.
 */
void
tenancy_registry_lock_models_for_session(void)
{
	LOCKTAG		tag;

	find_objects();
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, objects.module, 1);
	(void) LockAcquire(&tag, ExclusiveLock, true, false);
	AcceptInvalidationMessages();
}

/* Do we hold it, in exclusive mode? */
bool
tenancy_registry_has_models(void)
{
	LOCKTAG		tag;

	find_objects();
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, objects.module, 1);
	return tenancy_lock_held_by_me(&tag, ExclusiveLock);
}

void
tenancy_registry_unlock_models(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, objects.module, 1);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * While another tool's statements on a model are recorded, the model is between
 * two levels: it cannot be copied or migrated.  Under the lock above.
 */
void
tenancy_registry_refuse_recording(const char *module)
{
	Relation	rel = table_open(tenancy_registry_relation("recording"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	ScanKeyInit(&key, Anum_recording_module, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(module));
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model of module \"%s\" is being changed", module),
				 errdetail("Migration %lld is being recorded.",
						   (long long) DatumGetInt64(heap_getattr(tuple, Anum_recording_version,
																  RelationGetDescr(rel), &isnull))),
				 errhint("Wait until tenancy.stop_recording() has been called.")));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Neither is it at a level while it has had a part of a migration that is not transactional,
 * and failed: the copy would be asked to have that part again.  Under the lock above.
 */
static void
refuse_unfinished(const char *module)
{
	Relation	rel = table_open(tenancy_registry_relation("migration"), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	ScanKeyInit(&keys[0], Anum_migration_module, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(module));
	ScanKeyEntryInitialize(&keys[1], SK_ISNULL | SK_SEARCHNULL, Anum_migration_position,
						   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	scan = systable_beginscan(rel, tenancy_registry_relation("migration_module_position_key"),
							  true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc	desc = RelationGetDescr(rel);

		if (DatumGetInt32(heap_getattr(tuple, Anum_migration_step, desc, &isnull)) > 0 ||
			DatumGetBool(heap_getattr(tuple, Anum_migration_under_way, desc, &isnull)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the model of module \"%s\" is being changed", module),
					 errdetail("It has had a part of migration %lld.",
							   (long long) DatumGetInt64(heap_getattr(tuple, Anum_migration_version, desc, &isnull))),
					 errhint("Call tenancy.migrate() to finish that.")));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Note that a copy of the module has been made for a tenant, at the level of
 * the model; under the lock above.  There may be a row of an earlier tenant of
 * the same id that was deleted by hand.
 */
void
tenancy_registry_add_copy(const pg_uuid_t *tenant, const char *module)
{
	TenancyModule row;

	if (!tenancy_registry_module(module, &row))
		elog(ERROR, "module \"%s\" does not exist", module);
	tenancy_registry_refuse_recording(module);
	refuse_unfinished(module);
	tenancy_exec_format_as(objects.owner,
						   "INSERT INTO tenancy.module_copy (tenant_id, module, level) VALUES ('%s', %s, %d)"
						   " ON CONFLICT (module, tenant_id) DO UPDATE SET level = excluded.level, attempts = 0,"
						   " last_error = NULL, run = NULL, tries = 0, failed = false, retry_at = NULL, step = 0, under_way = false",
						   tenancy_ident_uuid_text(tenant), quote_literal_cstr(module), row.level);
}


/* ----------------------------------------------------------------
 * Access
 * ----------------------------------------------------------------
 */

/* Has role the privileges of a role that was granted access by such a row? */
static bool
access_row_matches(Oid role, ScanKey key, bool *cacheable)
{
	Relation	rel = table_open(objects.access, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, objects.access_key, true, NULL, 1, key);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			grantee = DatumGetObjectId(heap_getattr(tuple, Anum_access_role,
															RelationGetDescr(rel), &isnull));

		if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(grantee)) &&
			has_privs_of_role(role, grantee))
		{
			found = true;
			*cacheable = !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static bool
has_access_to_all(Oid role, bool *cacheable)
{
	ScanKeyData key;

	ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNULL, Anum_access_tenant_id,
						   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid,
						   (Datum) 0);
	return access_row_matches(role, &key, cacheable);
}

/*
 * What access to all tenants gives out (privileges on schemas and databases)
 * must fit the tenants that there are.  Whoever changes it holds this lock in
 * exclusive mode, whoever creates, renames or drops a tenant in share mode, to
 * the end of the transaction.  It is no lock on the table: foreign keys write
 * to that.  For access to one tenant, the lock on its row is enough.
 */
void
tenancy_registry_lock_access(LOCKMODE mode)
{
	tenancy_registry_refuse_on_standby();
	find_objects();
	LockDatabaseObject(RelationRelationId, objects.access, 1, mode);
}

/*
 * Two GRANTs on one function cannot run at once.  Whoever grants or revokes
 * takes this lock, after the one above and those on tenants' rows.
 */
void
tenancy_registry_lock_grants(void)
{
	tenancy_registry_refuse_on_standby();
	find_objects();
	LockDatabaseObject(RelationRelationId, objects.access, 2, ExclusiveLock);
}

/* May role act for every tenant, those to come included? */
bool
tenancy_registry_may_act_for_all(Oid role)
{
	bool		cacheable;

	find_objects();
	return superuser_arg(role) || has_access_to_all(role, &cacheable);
}

/*
 * May role act for the tenant?  In a tenant's own database, whoever may
 * connect to it may: CONNECT is what grant_access() gives out for it.
 */
bool
tenancy_registry_may_act(Oid role, const TenancyTenant *tenant)
{
	AccessKey	key;
	ScanKeyData scankey;
	uint64		serial;
	bool		cacheable = false;

	if (superuser_arg(role))
		return true;
	if (tenancy_registry_is_home(tenant))
		return tenancy_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK;

	prepare_cache();
	key.role = role;
	key.id = tenant->id;
	if (hash_search(cache.access, &key, HASH_FIND, NULL) != NULL)
		return true;

	serial = tenancy_guc_serial;
	ScanKeyInit(&scankey, Anum_access_tenant_id, BTEqualStrategyNumber,
				F_UUID_EQ, UUIDPGetDatum(&tenant->id));
	if (!access_row_matches(role, &scankey, &cacheable) &&
		!has_access_to_all(role, &cacheable))
		return false;

	if (cacheable && cache.valid && serial == tenancy_guc_serial)
		(void) hash_search(cache.access, &key, HASH_ENTER, NULL);
	return true;
}
