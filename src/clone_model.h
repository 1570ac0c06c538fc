/*-------------------------------------------------------------------------
 *
 * clone_model.h
 *	  A model schema, read from the catalogs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_MODEL_H
#define TENANCY_CLONE_MODEL_H

#include "clone.h"
#include "clone_catalog.h"
#include "registry.h"
#include "utils/hsearch.h"

typedef enum ObjectKind
{
	OBJ_TYPE,					/* enum, composite, range */
	OBJ_DOMAIN,
	OBJ_FUNCTION,				/* or procedure, aggregate */
	OBJ_SEQUENCE,
	OBJ_TABLE,
	OBJ_VIEW,
	OBJ_MATVIEW,
	OBJ_OTHER,					/* of clone_other.c */
	OBJ_DEFAULT,				/* part of a table or view */
	OBJ_CONSTRAINT				/* part of a table or domain */
} ObjectKind;

typedef enum ObjectState
{
	OBJ_WAITING,
	OBJ_PLACING,				/* what it needs is being created */
	OBJ_PLACED					/* its statement has been written */
} ObjectState;

/* An object that others can be defined by, or a part of one. */
typedef struct Object
{
	ObjectKind	kind;
	Oid			classid;
	Oid			oid;
	char	   *name;			/* quoted; of a column, if a default */
	HeapTuple	row;			/* of the catalog classid */
	struct Object *whole;		/* of what this is a part */
	List	   *parts;
	List	   *dependencies;	/* rows of pg_depend; wholes only */
	ObjectState state;

	/* Parts only. */
	bool		apart;			/* cannot be created with the whole */
	bool		inlined;		/* is created with the whole */
	bool		inherited;		/* comes from a parent's */
	AttrNumber	attno;			/* a default's column */
	Node	   *expr;			/* a default's expression */

	/* Functions only. */
	bool		elevated;		/* only a superuser can create it */

	/* Sequences only. */
	Oid			owner_relid;	/* the column that owns it, if any */
	AttrNumber	owner_attno;
	bool		identity;
} Object;

/* A table, view or materialized view. */
typedef struct Table
{
	Object		object;			/* must be first */
	List	   *columns;		/* rows of pg_attribute, dropped ones left out */
	List	   *constraints;	/* rows of pg_constraint, all of them */
	List	   *triggers;		/* rows of pg_trigger, PostgreSQL's left out */
	List	   *parents;		/* OIDs */
	List	   *children;		/* OIDs */
	List	   *sequences;		/* of identity columns */
	List	   *actions;		/* of the last ALTER TABLE */
	List	   *context;		/* for deparsing expressions, made when needed */
	Oid			return_rule;	/* views of both kinds only */
	bool		inherits;		/* is created with INHERITS */
	bool		reads_matview;	/* by a rule, at any remove */
	bool		withheld;		/* all privileges on it are the owner's */
	bool		open;			/* a policy of ours lets rows through to the isolation */
} Table;

/* Key of the hash that finds an Object by an address of it. */
typedef struct ObjectKey
{
	Oid			classid;
	Oid			oid;
} ObjectKey;

typedef struct ObjectEntry
{
	ObjectKey	key;			/* must be first */
	Object	   *object;
} ObjectEntry;

/* Like grants, for many objects at once. */
typedef struct GrantGroup
{
	char	   *head;
	char	   *tail;
	StringInfoData objects;
} GrantGroup;

/* What has been read of a model schema, and what is being written of it. */
typedef struct Model
{
	const TenancyModule *module;
	const pg_uuid_t *tenant;	/* NULL: as it is, for the template database */
	const char *schema;			/* where the copy goes */
	Oid			namespace;
	Oid			main_namespace; /* a tenant's copy of a plug-in: the main module's model, */
	const char *main_schema;	/* ... and its copy */
	Oid			owner;
	Oid			registry_tenant;	/* tenancy.tenant */
	List	   *protected_relids;	/* rows of tenancy.protected_table: */
	List	   *protected_columns;	/* ... OIDs and names of columns */
	List	   *access_roles;	/* OIDs; read when first needed */
	bool		access_roles_read;
	bool		has_extension_members;
	bool		has_matviews;
	bool		has_labels;
	bool		has_other_owners;

	Catalogs	catalogs;
	HTAB	   *by_address;
	List	   *objects;		/* wholes, in order of their OIDs */
	List	   *statistics;		/* rows of pg_statistic_ext */
	List	   *internal_functions; /* rows of pg_depend */
	List	   *index_attachments;	/* statements */
	List	   *born_with;		/* Holdings that all tables and views are created with, or NIL */
	List	   *revokes;		/* GrantGroups */
	List	   *grants;
	List	   *withheld;		/* descriptions, in the result's context */
	List	   *names_model;	/* functions, likewise */
	List	   *refreshes;		/* statements */
	List	   *handovers;		/* statements that give the owner what was created for it */
	List	   *refused;		/* descriptions */

	MemoryContext scratch;		/* for what makes up one statement */
	MemoryContext result_context;
	List	   *statements;		/* TenancyCloneStatements */
	List	   *outside_keys;	/* likewise: of foreign keys that lead out of a tenant's copy */
	List	   *referenced;		/* OIDs of the tables that these lead to */
} Model;

extern void tenancy_clone_refuse(Model *m, Oid classid, Oid oid, const char *reason);
extern void tenancy_clone_check_refused(Model *m);
extern void tenancy_clone_emit(Model *m, const char *sql);
extern void tenancy_clone_emit_elevated(Model *m, const char *sql);
extern void tenancy_clone_emit_refresh(Model *m, const char *sql);
extern void tenancy_clone_emit_wall(Model *m, const char *sql);
extern void tenancy_clone_set_address(Model *m, Oid classid, Oid oid, Object *object);
extern Object *tenancy_clone_new_object(Model *m, ObjectKind kind, Size size, Oid classid, Oid oid, HeapTuple row);
extern void tenancy_clone_add_whole(Model *m, Object *object, NameData name, List *dependencies);
extern Object *tenancy_clone_new_part(Model *m, Object *whole, ObjectKind kind, Oid classid, Oid oid, HeapTuple row);
extern Object *tenancy_clone_find_object(Model *m, Oid classid, Oid oid);
extern Table *tenancy_clone_find_table(Model *m, Oid relid);
extern const char *tenancy_clone_object_keyword(const Object *object);
extern bool tenancy_clone_is_extension_member(Model *m, Oid classid, Oid oid);
extern const char *tenancy_clone_qualifier(Model *m, Oid classid, Oid oid, Oid namespace);
extern const char *tenancy_clone_function_name(Model *m, Oid oid);
extern Form_pg_attribute tenancy_clone_find_column(const Table *table, AttrNumber attno);
extern Form_pg_attribute tenancy_clone_find_column_by_name(const Table *table,
														   const char *name);
extern List *tenancy_clone_argument_defaults(HeapTuple row);
extern Object *tenancy_clone_find_default(const Table *table, AttrNumber attno);
extern void tenancy_clone_warn_of_other_owners(const Model *m);

#endif							/* TENANCY_CLONE_MODEL_H */
