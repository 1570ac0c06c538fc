/*-------------------------------------------------------------------------
 *
 * clone_read.h
 *	  A model schema, read from the catalogs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_READ_H
#define TENANCY_CLONE_READ_H

#include "clone_model.h"

extern int tenancy_clone_compare_members(const ListCell *a, const ListCell *b);
extern void tenancy_clone_read_members(Model *m);

#endif							/* TENANCY_CLONE_READ_H */
