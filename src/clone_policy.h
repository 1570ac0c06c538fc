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

#endif							/* TENANCY_CLONE_POLICY_H */
