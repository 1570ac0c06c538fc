/*-------------------------------------------------------------------------
 *
 * checksum.c
 *	  What tells sets of rows apart: their number, and a checksum.
 *
 * A row's hash is that of its columns' bytes, as they are when nothing is
 * compressed or kept elsewhere: two values that only compare equal, as numbers
 * with and without zeros at the end do, are not the same.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "checksum.h"
#include "common/hashfn.h"
#include "compat.h"
#include "exec.h"
#include "fmgr.h"

/* Let a hash go on with a value. */
static uint64
hash_value(uint64 hash, Datum value, Form_pg_attribute attribute)
{
	const void *bytes = DatumGetPointer(value);
	int			len = attribute->attlen;
	uint64		word;

	if (attribute->attbyval)
	{
		word = value;
		bytes = &word;
		len = sizeof(word);
	}
	else if (len == -1)
	{
		struct varlena *flat = PG_DETOAST_DATUM_PACKED(value);

		bytes = VARDATA_ANY(flat);
		len = VARSIZE_ANY_EXHDR(flat);
	}
	else if (len == -2)
		len = strlen(bytes);
	return hash_bytes_extended(bytes, len, hash);
}

/* Add a row; memory that this takes is left to the current context. */
void
tenancy_checksum_add(TupleTableSlot *slot, TenancyChecksum *checksum)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	uint64		hash = 1;

	slot_getallattrs(slot);
	for (int i = 0; i < desc->natts; i++)
	{
		if (slot->tts_isnull[i])
			hash = hash * UINT64CONST(0x9e3779b97f4a7c15) + 1;
		else
			hash = hash_value(hash, slot->tts_values[i], TupleDescAttr(desc, i));
	}
	checksum->nrows++;
	checksum->sum += hash;
}

static void
add_row(TupleTableSlot *slot, void *arg)
{
	tenancy_checksum_add(slot, arg);
}

/* The rows of a query, as tenancy_exec_rows_at() runs it. */
TenancyChecksum
tenancy_checksum_query(const char *sql, ParamListInfo params, Snapshot snapshot)
{
	TenancyChecksum checksum = {0, 0};

	(void) tenancy_exec_rows_at(sql, params, snapshot, 0, add_row, &checksum);
	return checksum;
}
