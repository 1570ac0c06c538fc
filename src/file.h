/*-------------------------------------------------------------------------
 *
 * file.h
 *	  Small files as a whole.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_FILE_H
#define TENANCY_FILE_H

#include "lib/stringinfo.h"

extern off_t tenancy_file_size(const char *path, bool link_ok);
extern StringInfo tenancy_file_read(const char *path, bool missing_ok);
extern void tenancy_file_write(const char *path, const char *content);

#endif							/* TENANCY_FILE_H */
