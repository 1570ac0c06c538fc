/*-------------------------------------------------------------------------
 *
 * file.c
 *	  Small files as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "file.h"
#include "miscadmin.h"
#include "storage/fd.h"

/* The size of a regular file; an error if it is none.  A link may do, or not. */
off_t
tenancy_file_size(const char *path, bool link_ok)
{
	struct stat st;

	if ((link_ok ? stat(path, &st) : lstat(path, &st)) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat file \"%s\": %m", path)));
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a regular file", path)));
	return st.st_size;
}

/*
 * What is in a file, with a zero behind it.  NULL if there is no such file, and it
 * may be missing.
 */
StringInfo
tenancy_file_read(const char *path, bool missing_ok)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_R);
	StringInfo	content;
	char		buffer[8192];
	size_t		len;

	if (file == NULL && errno == ENOENT && missing_ok)
		return NULL;
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	content = makeStringInfo();
	while ((len = fread(buffer, 1, sizeof(buffer), file)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		appendBinaryStringInfo(content, buffer, len);
	}
	if (ferror(file))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	FreeFile(file);
	return content;
}

/* Write a text to a file, in place of what may be there. */
void
tenancy_file_write(const char *path, const char *content)
{
	FILE	   *file = AllocateFile(path, PG_BINARY_W);

	if (file == NULL || fputs(content, file) < 0 || FreeFile(file) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", path)));
}
