/*-------------------------------------------------------------------------
 *
 * copy_file.c
 *	  A query's rows as a file, in COPY's text form.
 *
 * What COPY (query) TO 'path' writes, in the database's encoding, byte for byte.
 * COPY cannot hand over what it writes before PostgreSQL 16; here the SHA-256 is
 * computed of what is in memory anyway, where the file would have to be read
 * again, and the file is written in larger pieces.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "compat.h"
#include "copy_file.h"
#include "exec.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "progress.h"
#include "storage/fd.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BUFFER_SIZE	131072

typedef struct Writer
{
	const char *path;
	int			file;
	pg_cryptohash_ctx *hash;
	FmgrInfo   *output;			/* of the columns' types; NULL before the first row */
	TenancyCopyFile result;
	int			len;			/* of what is in the buffer */
	char		buffer[BUFFER_SIZE];
} Writer;

/* What stands for a byte, behind a backslash; 0 if it stands for itself. */
static const char escapes[256] = {
	['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\v'] = 'v', ['\f'] = 'f', ['\r'] = 'r', ['\\'] = '\\'
};

static void
flush(Writer *writer)
{
	int			done = 0;

	if (pg_cryptohash_update(writer->hash, (uint8 *) writer->buffer, writer->len) < 0)
		elog(ERROR, "could not update SHA-256");
	while (done < writer->len)
	{
		ssize_t		written = write(writer->file, writer->buffer + done, writer->len - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
		{
			/* if write didn't set errno, assume problem is no disk space */
			if (written == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write file \"%s\": %m", writer->path)));
		}
		done += written;
	}
	writer->result.nbytes += writer->len;
	tenancy_progress_add(writer->len);
	writer->len = 0;
	CHECK_FOR_INTERRUPTS();
}

static void
put(Writer *writer, const char *bytes, size_t len)
{
	while (len > 0)
	{
		size_t		part = Min(len, BUFFER_SIZE - writer->len);

		memcpy(writer->buffer + writer->len, bytes, part);
		writer->len += part;
		bytes += part;
		len -= part;
		if (writer->len == BUFFER_SIZE)
			flush(writer);
	}
}

/* Bytes above 127 are never part of another character in a server's encoding. */
static void
put_value(Writer *writer, const char *value)
{
	const char *start = value;

	for (; *value != '\0'; value++)
	{
		char		escaped[2] = {'\\', escapes[(unsigned char) *value]};

		if (likely(escaped[1] == '\0'))
			continue;
		put(writer, start, value - start);
		put(writer, escaped, 2);
		start = value + 1;
	}
	put(writer, start, value - start);
}

static void
find_output(Writer *writer, TupleDesc desc)
{
	writer->output = palloc(desc->natts * sizeof(FmgrInfo));
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(TupleDescAttr(desc, i)->atttypid, &function, &is_varlena);
		fmgr_info_cxt(function, &writer->output[i], GetMemoryChunkContext(writer));
	}
}

static void
put_row(TupleTableSlot *slot, void *arg)
{
	Writer	   *writer = arg;
	TupleDesc	desc = slot->tts_tupleDescriptor;

	slot_getallattrs(slot);
	if (writer->output == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(writer));

		find_output(writer, desc);
		MemoryContextSwitchTo(old);
	}
	for (int i = 0; i < desc->natts; i++)
	{
		if (i > 0)
			put(writer, "\t", 1);
		if (slot->tts_isnull[i])
			put(writer, "\\N", 2);
		else
			put_value(writer, OutputFunctionCall(&writer->output[i], slot->tts_values[i]));
	}
	put(writer, "\n", 1);
	writer->result.nrows++;
}

static char *
finish_hash(pg_cryptohash_ctx *hash)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(2 * sizeof(digest) + 1);

	if (pg_cryptohash_final(hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not finish SHA-256");
	pg_cryptohash_free(hash);
	for (int i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

/* Write a query's rows to a file, which must not be there, as the current user. */
TenancyCopyFile
tenancy_copy_file_write(const char *query, const char *path)
{
	Writer	   *writer = palloc0(sizeof(Writer));
	TenancyCopyFile result;

	writer->path = path;
	writer->file = OpenTransientFile(path, O_CREAT | O_EXCL | O_WRONLY | PG_BINARY);
	if (writer->file < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", path)));
	writer->hash = pg_cryptohash_create(PG_SHA256);
	if (writer->hash == NULL || pg_cryptohash_init(writer->hash) < 0)
		elog(ERROR, "could not begin SHA-256");
	(void) tenancy_exec_rows(query, put_row, writer);
	flush(writer);
	if (CloseTransientFile(writer->file) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not close file \"%s\": %m", path)));
	result = writer->result;
	result.sha256 = finish_hash(writer->hash);
	pfree(writer);
	return result;
}
