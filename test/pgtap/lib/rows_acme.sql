--
-- Rows of tenant acme: see rows.sql.
--
\set QUIET 1
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
INSERT INTO customers (customer_id, email, name, balance) VALUES
	(1, 'wile@example.com', 'Wile', 100), (2, 'roadrunner@example.com', 'Road Runner', 200);
INSERT INTO orders (order_id, customer_id, total) VALUES (1, 1, 10), (2, 2, 20);
INSERT INTO notes (note) VALUES ('acme note');
INSERT INTO events (day, what) VALUES ('2025-05-05', 'acme signup'), ('2026-05-05', 'login'), ('2026-06-06', 'acme other');
INSERT INTO assets (label) VALUES ('acme desk');
INSERT INTO vehicles (label, wheels) VALUES ('acme van', 4);
INSERT INTO messages (secret, body) VALUES (false, 'acme open'), (true, 'acme secret');
COMMIT;
