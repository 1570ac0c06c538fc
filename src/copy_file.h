/*-------------------------------------------------------------------------
 *
 * copy_file.h
 *	  A query's rows as a file, in COPY's text form.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_COPY_FILE_H
#define TENANCY_COPY_FILE_H

typedef struct TenancyCopyFile
{
	uint64		nrows;
	uint64		nbytes;
	char	   *sha256;			/* in hexadecimal */
} TenancyCopyFile;

extern TenancyCopyFile tenancy_copy_file_write(const char *query, const char *path);

#endif							/* TENANCY_COPY_FILE_H */
