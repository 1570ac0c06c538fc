/*-------------------------------------------------------------------------
 *
 * clone_faithful.h
 *	  Definitions that PostgreSQL writes, and would read as something else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_FAITHFUL_H
#define TENANCY_CLONE_FAITHFUL_H

extern const char *tenancy_clone_faithful(const char *sql);

#endif							/* TENANCY_CLONE_FAITHFUL_H */
