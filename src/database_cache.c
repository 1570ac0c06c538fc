/*-------------------------------------------------------------------------
 *
 * database_cache.c
 *	  The file with which the sessions of a database begin, for a copy of it.
 *
 * PostgreSQL keeps what each session has to know of the system catalogs in a file
 * of the database's directory (see write_relcache_init_file()).  The first session
 * there makes it, which takes longer than to copy a small database.  CREATE
 * DATABASE ... STRATEGY FILE_COPY copies it, and PostgreSQL reads it in a way that
 * allows for that; WAL_LOG, which needs no checkpoint, does not.
 *
 * The file must be that of the catalogs that were copied.  Whoever changes what is
 * in it removes it when the transaction commits, before the session goes on; and
 * CREATE DATABASE waits until nobody is in its template.  So it is if it was the
 * same before and after.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "common/relpath.h"
#include "database_cache.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

/* The file of a database; NULL if that is not there. */
static char *
file_path(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	char	   *path;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	path = GetDatabasePath(database, ((Form_pg_database) GETSTRUCT(tuple))->dattablespace);
	ReleaseSysCache(tuple);
	return psprintf("%s/%s", path, RELCACHE_INIT_FILENAME);
}

bool
tenancy_database_cache_exists(Oid database)
{
	char	   *path = file_path(database);

	return path != NULL && access(path, F_OK) == 0;
}

/* Read the file of a database; NULL if there is none. */
StringInfo
tenancy_database_cache_read(Oid database)
{
	char	   *path = file_path(database);
	StringInfo	content;
	char		buffer[BLCKSZ];
	int			fd;
	ssize_t		len;

	if (path == NULL || (fd = OpenTransientFile(path, O_RDONLY | PG_BINARY)) < 0)
		return NULL;
	content = makeStringInfo();
	while ((len = read(fd, buffer, sizeof(buffer))) > 0)
		appendBinaryStringInfo(content, buffer, len);
	CloseTransientFile(fd);
	return len < 0 || content->len == 0 ? NULL : content;
}

/*
 * Give a new database, in which nobody has been yet, the file.  Without it, the
 * first session makes it: nothing is lost if that fails.
 */
void
tenancy_database_cache_write(Oid database, StringInfo content)
{
	char	   *path = file_path(database);
	char	   *temporary;
	int			fd;
	bool		written;

	if (path == NULL)
		return;
	temporary = psprintf("%s.%d", path, MyProcPid);
	unlink(temporary);			/* of a process that died */
	fd = OpenTransientFile(temporary, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY);
	if (fd < 0)
		return;
	written = write(fd, content->data, content->len) == content->len;
	if (CloseTransientFile(fd) != 0)
		written = false;

	/* Autovacuum goes where nobody may connect: if it was here, it knows better. */
	LWLockAcquire(RelCacheInitLock, LW_EXCLUSIVE);
	if (!written || access(path, F_OK) == 0 || rename(temporary, path) != 0)
		unlink(temporary);
	LWLockRelease(RelCacheInitLock);
}
