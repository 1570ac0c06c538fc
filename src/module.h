/*-------------------------------------------------------------------------
 *
 * module.h
 *	  A schema becomes the model of a set of tenants' tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MODULE_H
#define TENANCY_MODULE_H

/* SQL that grants an owner of protected tables what these need; doing so where it lacks that. */
extern char *tenancy_module_owner_grants(Oid owner);
extern void tenancy_module_ensure_owner(Oid owner);

#endif							/* TENANCY_MODULE_H */
