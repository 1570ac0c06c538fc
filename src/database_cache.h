/*-------------------------------------------------------------------------
 *
 * database_cache.h
 *	  The file with which the sessions of a database begin, for a copy of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DATABASE_CACHE_H
#define TENANCY_DATABASE_CACHE_H

#include "lib/stringinfo.h"

extern bool tenancy_database_cache_exists(Oid database);
extern StringInfo tenancy_database_cache_read(Oid database);
extern void tenancy_database_cache_write(Oid database, StringInfo content);

#endif							/* TENANCY_DATABASE_CACHE_H */
