--
-- Rows of both tenants, written as the application would: unqualified names,
-- under a context.  Included as role app.
--
\ir rows_acme.sql
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
INSERT INTO customers (customer_id, email, name, balance) VALUES
	(1, 'gavin@example.com', 'Gavin', 1000), (3, 'jack@example.com', 'Jack', 2000), (4, 'wile@example.com', 'Twin', 3000);
INSERT INTO orders (order_id, customer_id, total) VALUES (1, 1, 1000), (7, 3, 3000);
INSERT INTO notes (note) VALUES ('hooli note 1'), ('hooli note 2');
INSERT INTO events (day, what) VALUES ('2025-05-05', 'hooli signup'), ('2026-05-05', 'login'), ('2026-06-06', 'hooli other'), ('2026-07-07', 'hooli other');
INSERT INTO assets (label) VALUES ('hooli desk'), ('hooli chair');
INSERT INTO vehicles (label, wheels) VALUES ('hooli van', 4), ('hooli bike', 2);
INSERT INTO messages (secret, body) VALUES (false, 'hooli open'), (true, 'hooli secret');
COMMIT;
