/* refill.c: keeping spares */

CREATE PROCEDURE tenancy.refill_spares()
AS 'MODULE_PATHNAME', 'tenancy_refill_spares'
LANGUAGE C;
COMMENT ON PROCEDURE tenancy.refill_spares() IS
'Makes as many spares as set_spares() asks for, replaces those that are no copies of their models any more, and drops those too many';

REVOKE ALL ON PROCEDURE tenancy.refill_spares() FROM PUBLIC;
