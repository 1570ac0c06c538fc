/*-------------------------------------------------------------------------
 *
 * clone_policy.h
 *	  Statements for the row security of a copy.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_POLICY_H
#define TENANCY_CLONE_POLICY_H

#include "clone_model.h"

extern void tenancy_clone_create_policies(Model *m, Table *table);
extern void tenancy_clone_create_walls(Model *m);
extern void tenancy_clone_put_up_wall(Node *statement);

#endif							/* TENANCY_CLONE_POLICY_H */
