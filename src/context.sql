/* context.c: the tenant context */

CREATE FUNCTION tenancy.set_tenant(tenant text, is_local boolean DEFAULT true)
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_context_set_by_name'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.set_tenant(text, boolean) IS
'Sets the tenant context (by slug or id), for the transaction or the session';

CREATE FUNCTION tenancy.set_tenant(tenant uuid, is_local boolean DEFAULT true)
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_context_set_by_id'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.set_tenant(uuid, boolean) IS
'Sets the tenant context (by id), for the transaction or the session';

CREATE FUNCTION tenancy.reset_tenant()
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_context_reset'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.reset_tenant() IS
'Ends the tenant context and puts search_path back';

CREATE FUNCTION tenancy.current_tenant()
RETURNS text
AS 'MODULE_PATHNAME', 'tenancy_context_current_slug'
LANGUAGE C STABLE PARALLEL SAFE LEAKPROOF;
COMMENT ON FUNCTION tenancy.current_tenant() IS
'The slug of the tenant in context; null if there is none';

CREATE FUNCTION tenancy.current_tenant_id()
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_context_current_id'
LANGUAGE C STABLE PARALLEL SAFE LEAKPROOF;
COMMENT ON FUNCTION tenancy.current_tenant_id() IS
'The id of the tenant in context; null if there is none';

CREATE FUNCTION tenancy.is_current_tenant(tenant uuid)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_context_is_current'
LANGUAGE C STABLE PARALLEL SAFE LEAKPROOF;
COMMENT ON FUNCTION tenancy.is_current_tenant(uuid) IS
'Whether this tenant is the one in context; false if there is none';

/*
 * What the policies call.  STABLE, never IMMUTABLE: a generic plan would go on
 * serving the tenant for which it was made.
 */
CREATE FUNCTION tenancy.policy_tenant_id()
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_context_policy_id'
LANGUAGE C STABLE PARALLEL SAFE LEAKPROOF;
COMMENT ON FUNCTION tenancy.policy_tenant_id() IS
'For the policies of shared tables: the id of the tenant in context, or an error';

CREATE FUNCTION tenancy.policy_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'tenancy_context_policy_support'
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION tenancy.policy_support(internal) IS
'Planner support of tenancy.policy_is_tenant()';

CREATE FUNCTION tenancy.policy_is_tenant(tenant uuid)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_context_policy_is'
LANGUAGE C STABLE PARALLEL SAFE LEAKPROOF
SUPPORT tenancy.policy_support;
COMMENT ON FUNCTION tenancy.policy_is_tenant(uuid) IS
'For the policies of a schema tenant''s tables: whether this tenant is in context; an error if none is';

REVOKE ALL ON FUNCTION tenancy.set_tenant(text, boolean), tenancy.set_tenant(uuid, boolean),
	tenancy.reset_tenant(), tenancy.current_tenant(), tenancy.current_tenant_id(),
	tenancy.is_current_tenant(uuid), tenancy.policy_tenant_id(),
	tenancy.policy_support(internal), tenancy.policy_is_tenant(uuid)
	FROM PUBLIC;
