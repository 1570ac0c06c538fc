/*-------------------------------------------------------------------------
 *
 * clone_table.h
 *	  Statements for a copy's sequences, tables and views.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_TABLE_H
#define TENANCY_CLONE_TABLE_H

#include "clone_model.h"

extern bool tenancy_clone_is_inherited_column(const Table *table, Form_pg_attribute att);
extern const char *tenancy_clone_compression_name(char compression);
extern void tenancy_clone_choose_inheritance(Model *m, Table *table);
extern void tenancy_clone_create_sequence(Model *m, Object *object);
extern void tenancy_clone_create_table(Model *m, Table *table);
extern void tenancy_clone_create_view(Model *m, Table *view);
extern void tenancy_clone_create_matview(Model *m, Table *view);

#endif							/* TENANCY_CLONE_TABLE_H */
