/*-------------------------------------------------------------------------
 *
 * clone_create.h
 *	  Statements for what others can be defined by, in an order that works.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_CREATE_H
#define TENANCY_CLONE_CREATE_H

#include "catalog/pg_constraint.h"
#include "clone_model.h"

extern bool tenancy_clone_is_foreign_key(const Object *part);
extern bool tenancy_clone_leads_outside(Model *m, Form_pg_constraint con);
extern void tenancy_clone_place_all(Model *m);

#endif							/* TENANCY_CLONE_CREATE_H */
