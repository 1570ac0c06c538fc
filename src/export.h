/*-------------------------------------------------------------------------
 *
 * export.h
 *	  A tenant's rows as files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_EXPORT_H
#define TENANCY_EXPORT_H

extern void tenancy_export_run(const char *name, const char *directory);

#endif							/* TENANCY_EXPORT_H */
