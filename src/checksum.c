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
#include "compat.h"
#include "exec.h"
#include "fmgr.h"

/*
 * The hash is MurmurHash64A, by Austin Appleby, who gave it to the public: each row is
 * hashed twice, and hash_bytes_extended() takes three times as long.
 */
#define MULTIPLIER	UINT64CONST(0xc6a4a7935bd1e995)
#define SHIFT		47

/* Let a hash go on with eight bytes. */
static inline uint64
hash_word(uint64 hash, uint64 word)
{
	word *= MULTIPLIER;
	word ^= word >> SHIFT;
	word *= MULTIPLIER;
	return (hash ^ word) * MULTIPLIER;
}

static uint64
hash_bytes_of(uint64 hash, const char *bytes, Size len)
{
	uint64		word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word))
	{
		memcpy(&word, bytes, sizeof(word));
		hash = hash_word(hash, word);
	}
	word = 0;
	memcpy(&word, bytes, len);
	return len > 0 ? hash_word(hash, word) : hash;
}

/* The bits of a value that its type has; others depend on where it comes from. */
static uint64
word_of(Datum value, int16 len)
{
	switch (len)
	{
		case sizeof(uint8):
			return DatumGetUInt8(value);
		case sizeof(uint16):
			return DatumGetUInt16(value);
		case sizeof(uint32):
			return DatumGetUInt32(value);
		default:
			return value;
	}
}

/* Let it go on with a value; where a value ends is a part of it. */
static uint64
hash_value(uint64 hash, Datum value, Form_pg_attribute attribute)
{
	const char *bytes = DatumGetPointer(value);
	Size		len;

	if (attribute->attbyval)
		return hash_word(hash, word_of(value, attribute->attlen));
	if (attribute->attlen > 0)
		return hash_bytes_of(hash, bytes, attribute->attlen);
	if (attribute->attlen == -1)
	{
		struct varlena *flat = PG_DETOAST_DATUM_PACKED(value);

		bytes = VARDATA_ANY(flat);
		len = VARSIZE_ANY_EXHDR(flat);
	}
	else
		len = strlen(bytes);
	return hash_bytes_of(hash_word(hash, len), bytes, len);
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
	hash ^= hash >> SHIFT;
	hash *= MULTIPLIER;
	checksum->sum += hash ^ hash >> SHIFT;
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
