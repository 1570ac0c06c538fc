/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  Tenants, modules and access: reading the registry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_REGISTRY_H
#define TENANCY_REGISTRY_H

#include "access/transam.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

/* The version of the SQL objects that this library works with. */
#define TENANCY_VERSION "1.0"

/* Class TN: what an application must tell apart. */
#define ERRCODE_TENANCY_NO_TENANT			MAKE_SQLSTATE('T','N','0','0','1')
#define ERRCODE_TENANCY_NOT_ACTIVE			MAKE_SQLSTATE('T','N','0','0','2')
#define ERRCODE_TENANCY_ELSEWHERE			MAKE_SQLSTATE('T','N','0','0','3')
#define ERRCODE_TENANCY_ALREADY_SET			MAKE_SQLSTATE('T','N','0','0','4')

typedef enum TenancyMode
{
	TENANCY_SHARED,
	TENANCY_SCHEMA,
	TENANCY_DATABASE
} TenancyMode;

typedef enum TenancyStatus
{
	TENANCY_ACTIVE,
	TENANCY_SUSPENDED,
	TENANCY_MOVING,				/* its rows are being copied: to be read, not written */
	TENANCY_DROPPING,
	TENANCY_SPARE				/* no tenant yet: only tenancy_registry_find() finds it */
} TenancyStatus;

typedef struct TenancyTenant
{
	pg_uuid_t	id;				/* hash key: must be first */
	char		slug[NAMEDATALEN];
	TenancyMode mode;
	TenancyStatus status;
	char		schema_name[NAMEDATALEN];	/* "" but for schema tenants */
	char		database_name[NAMEDATALEN]; /* "" but for database tenants */
	FullTransactionId moved_in; /* moved it to where it lives; invalid if none did */
	bool		is_ours;		/* written by the current transaction */
} TenancyTenant;

typedef struct TenancyModule
{
	char		name[NAMEDATALEN];
	char		model_schema[NAMEDATALEN];
	int			position;		/* 1 is the main module */
	int			level;			/* how many migrations the model has had */
} TenancyModule;

extern void tenancy_registry_init(void);

/* Looking up; all of these read what is committed now, or done by ourselves. */
extern bool tenancy_registry_find(const pg_uuid_t *id, TenancyTenant *tenant);
extern bool tenancy_registry_peek(const pg_uuid_t *id, TenancyTenant *tenant);
extern bool tenancy_registry_try_share(const pg_uuid_t *id, TenancyTenant *tenant);
extern bool tenancy_registry_by_id(const pg_uuid_t *id, TenancyTenant *tenant);
extern bool tenancy_registry_by_slug(const char *slug, TenancyTenant *tenant);
extern bool tenancy_registry_by_name(const char *slug_or_id, TenancyTenant *tenant);
extern void tenancy_registry_get(const char *slug_or_id, TenancyTenant *tenant);
extern void tenancy_registry_get_locked(const char *slug_or_id, TenancyTenant *tenant);
extern void tenancy_registry_lock_access(LOCKMODE mode);
extern void tenancy_registry_lock_grants(void);
extern bool tenancy_registry_home(TenancyTenant *tenant);
extern bool tenancy_registry_is_home(const TenancyTenant *tenant);
extern void tenancy_registry_refuse_home(void);
extern void tenancy_registry_refuse_on_standby(void);
extern void tenancy_registry_refuse_read_only(void);
extern List *tenancy_registry_modules(void);
extern bool tenancy_registry_module(const char *name, TenancyModule *module);
extern bool tenancy_registry_is_installed(const TenancyTenant *tenant,
										  const TenancyModule *module);
extern Oid	tenancy_registry_schema_owner(const char *schema);
extern bool tenancy_registry_lock_row(Relation rel, const ItemPointerData *tid, LockTupleMode mode,
									  LockWaitPolicy policy, TupleTableSlot *slot);
extern List *tenancy_registry_installed(const TenancyTenant *tenant);
extern char *tenancy_registry_schema(const TenancyTenant *tenant, const TenancyModule *module);
extern List *tenancy_registry_schemas(const TenancyTenant *tenant);
extern List *tenancy_registry_trusted(List *schemas, Oid role);
extern bool tenancy_registry_is_foreign_schema(const char *schema);
extern void tenancy_registry_refuse_foreign_schema(const TenancyTenant *tenant,
												   const char *schema);
extern List *tenancy_registry_tables(const TenancyTenant *tenant);
extern void tenancy_registry_lock_models(LOCKMODE mode);
extern void tenancy_registry_lock_models_for_session(void);
extern bool tenancy_registry_has_models(void);
extern void tenancy_registry_unlock_models(void);
extern void tenancy_registry_refuse_recording(const char *module);
extern void tenancy_registry_add_copy(const pg_uuid_t *tenant, const char *module);
extern bool tenancy_registry_may_act(Oid role, const TenancyTenant *tenant);
extern bool tenancy_registry_may_act_for_all(Oid role);
extern Oid	tenancy_registry_owner(void);
extern Oid	tenancy_registry_relation(const char *name);
extern Oid	tenancy_registry_model_schema(const TenancyModule *module);
extern Oid	tenancy_registry_module_owner(const TenancyModule *module);
extern void tenancy_registry_refuse_superuser(const char *schema, Oid owner);

/*
 * SQL: the rows of pg_class for what is in schemas, an array of OIDs, but indexes.
 * Each schema is asked for its own: no index of pg_class begins with it, and all
 * tenants' relations are there.
 */
#define TENANCY_RELATIONS_OF(schemas) \
	"(SELECT r.* FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) d.objid" \
	" WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass" \
	" AND d.refobjid OPERATOR(pg_catalog.=) ANY (" schemas ")" \
	" AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass" \
	" AND d.deptype OPERATOR(pg_catalog.=) 'n')"

/* SQL: the foreign keys to a table, rows of pg_constraint; likewise. */
#define TENANCY_KEYS_TO(table) \
	"(SELECT f.* FROM pg_catalog.pg_constraint f WHERE f.contype OPERATOR(pg_catalog.=) 'f'" \
	" AND f.confrelid OPERATOR(pg_catalog.=) " table \
	" AND f.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.objid FROM pg_catalog.pg_depend d" \
	"  WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass" \
	"  AND d.refobjid OPERATOR(pg_catalog.=) " table \
	"  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass)))"

/*
 * SQL: the tenant column of a table of a model, if it is protected, itself or
 * as the inheritance child of a protected table.
 */
#define TENANCY_TENANT_COLUMN_OF(oid) \
	"WITH RECURSIVE up (relation) AS (SELECT " oid "::pg_catalog.oid" \
	" UNION SELECT i.inhparent FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid OPERATOR(pg_catalog.=) up.relation)" \
	" SELECT t.tenant_column FROM up JOIN tenancy.protected_table t ON t.relation OPERATOR(pg_catalog.=) up.relation LIMIT 1"

extern const char *tenancy_mode_text(TenancyMode mode);
extern TenancyMode tenancy_mode_from_text(const char *label);
extern TenancyMode tenancy_mode_from_datum(Datum value);

#endif							/* TENANCY_REGISTRY_H */
