-- What the application does for any tenant: nothing in it tells the mode.
\echo '---' :tenant
BEGIN;
SELECT tenancy.set_tenant(:'tenant') \g /dev/null
INSERT INTO customers (name) VALUES (:'customer') RETURNING customer_id \gset
INSERT INTO orders (customer_id) VALUES (:customer_id) RETURNING order_id \gset
INSERT INTO order_lines (order_id, line, product, quantity, price)
VALUES (:order_id, 1, 'anvil', 2, 49.90), (:order_id, 2, 'rope', 10, 1.25);
COMMIT;
\echo
