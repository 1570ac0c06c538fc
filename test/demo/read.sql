-- The same query for any tenant.
\echo '---' :tenant
BEGIN;
SELECT tenancy.set_tenant(:'tenant') \g /dev/null
SELECT tenancy.current_tenant() AS tenant, c.name AS customer,
	   count(DISTINCT o.order_id) AS orders, sum(l.quantity * l.price) AS total
FROM customers c
	JOIN orders o USING (tenant_id, customer_id)
	JOIN order_lines l USING (tenant_id, order_id)
GROUP BY c.name;

-- Nobody else's rows among them, and its own are there.
\set ECHO none
SELECT count(*) = 1 AND min(name) = :'customer' AS own_only FROM customers \gset
\if :own_only
\else
	DO $$ BEGIN RAISE EXCEPTION 'the tour failed: a tenant does not see exactly its own customers'; END $$;
\endif
\set ECHO queries
COMMIT;
\echo
