/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  Columns of our tables, where C reads their rows without SQL.
 *
 * They are as in catalog.sql, migrate.sql and token.sql, which test/check/catalog.pl
 * compares with this file, types included.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CATALOG_H
#define TENANCY_CATALOG_H

#define Anum_module_name			1	/* text */
#define Anum_module_model_schema	2	/* name */
#define Anum_module_position		3	/* integer */
#define Anum_module_level			4	/* integer */
#define Natts_module				4

#define Anum_tenant_id				1	/* uuid */
#define Anum_tenant_slug			2	/* text */
#define Anum_tenant_mode			3	/* tenancy.isolation_mode */
#define Anum_tenant_status			4	/* text */
#define Anum_tenant_schema_name		5	/* name */
#define Anum_tenant_database_name	6	/* name */
#define Anum_tenant_metadata		8	/* jsonb */
#define Anum_tenant_created_at		10	/* timestamp with time zone */
#define Anum_tenant_status_at		11	/* timestamp with time zone */
#define Anum_tenant_moved_in		12	/* xid8 */
#define Natts_tenant				12

#define Anum_tenant_module_tenant_id	1	/* uuid */
#define Anum_tenant_module_module		2	/* text */

#define Anum_module_copy_tenant_id		1	/* uuid */
#define Anum_module_copy_module			2	/* text */
#define Anum_module_copy_level			3	/* integer */
#define Anum_module_copy_last_error		5	/* text */
#define Anum_module_copy_attempted_at	6	/* timestamp with time zone */
#define Anum_module_copy_duration		7	/* interval */
#define Anum_module_copy_run			8	/* bigint */
#define Anum_module_copy_tries			9	/* integer */
#define Anum_module_copy_failed			10	/* boolean */
#define Anum_module_copy_retry_at		11	/* timestamp with time zone */
#define Anum_module_copy_step			12	/* integer */
#define Anum_module_copy_under_way		13	/* boolean */
#define Natts_module_copy				13

#define Anum_access_role		1	/* regrole */
#define Anum_access_tenant_id	2	/* uuid */

#define Anum_protected_table_relation		1	/* regclass */
#define Anum_protected_table_tenant_column	2	/* name */

#define Anum_reference_table_relation	1	/* regclass */

#define Anum_pending_database_tenant_id	1	/* uuid */
#define Anum_pending_database_action	2	/* text */

#define Anum_move_change_tenant_id	1	/* uuid */
#define Anum_move_change_relation	2	/* oid */
#define Anum_move_change_xact		3	/* xid8 */
#define Anum_move_change_key		4	/* text[] */
#define Natts_move_change			4

#define Anum_spare_mode	2	/* tenancy.isolation_mode */

#define Anum_recording_module	2	/* text */
#define Anum_recording_version	3	/* bigint */

#define Anum_migration_module		1	/* text */
#define Anum_migration_version		2	/* bigint */
#define Anum_migration_position		8	/* integer */
#define Anum_migration_step			9	/* integer */
#define Anum_migration_under_way	10	/* boolean */

#define Anum_migration_run_id			1	/* bigint */
#define Anum_migration_run_finished_at	15	/* timestamp with time zone */

#define Anum_token_key_kid			1	/* text */
#define Anum_token_key_algorithm	2	/* text */
#define Anum_token_key_key			3	/* text */
#define Anum_token_key_valid_from	4	/* timestamp with time zone */
#define Anum_token_key_valid_until	5	/* timestamp with time zone */

#endif							/* TENANCY_CATALOG_H */
