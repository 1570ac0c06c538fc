/*
 * A provider of security labels, for 021_exact.pl: it takes any but "refused".
 */
#include "postgres.h"

#include "commands/seclabel.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static void
check_label(const ObjectAddress *object, const char *label)
{
	if (label != NULL && strcmp(label, "refused") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not a valid security label", label)));
}

void
_PG_init(void)
{
	register_label_provider("the house", check_label);
}
