/*-------------------------------------------------------------------------
 *
 * clone_part.h
 *	  Statements for the parts of objects that nothing is defined by.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_PART_H
#define TENANCY_CLONE_PART_H

#include "clone_model.h"

extern void tenancy_clone_add_action(Table *table, char *action);
extern void tenancy_clone_add_extension_needs(Model *m, List *dependencies, const char *what);
extern void tenancy_clone_own_sequence(Model *m, const Object *sequence);
extern void tenancy_clone_add_comment(Model *m, Oid classid, Oid oid, const char *what);
extern void tenancy_clone_create_indexes(Model *m, Table *table);
extern void tenancy_clone_add_foreign_keys(Model *m);
extern void tenancy_clone_add_outside_keys(Model *m);
extern void tenancy_clone_create_statistics(Model *m, HeapTuple row);
extern void tenancy_clone_create_rules(Model *m, Table *table);
extern void tenancy_clone_create_triggers(Model *m, Table *table);
extern void tenancy_clone_disown_inherited(Model *m, const Table *table);
extern void tenancy_clone_validate_inherited(Model *m, const Table *table);
extern void tenancy_clone_add_column_actions(Model *m, Table *table);
extern void tenancy_clone_add_replica_identity(Table *table);
extern void tenancy_clone_alter_table(Model *m, const Table *table);
extern void tenancy_clone_remark_schema(Model *m);
extern void tenancy_clone_comment_object(Model *m, const Object *object);

#endif							/* TENANCY_CLONE_PART_H */
