--
-- The rows of tenant hooli, in a database that is not its own: what a restore
-- into the wrong place leaves there, say.  Included as superuser.
--
BEGIN;
SET LOCAL session_replication_role = replica;
SET LOCAL search_path = shop;
CREATE FUNCTION pg_temp.hooli() RETURNS uuid LANGUAGE sql AS $$SELECT '00000000-0000-4000-8000-00000000000b'::uuid$$;
INSERT INTO customers (tenant_id, customer_id, email, name, balance) VALUES
	(pg_temp.hooli(), 1, 'gavin@example.com', 'Gavin', 1000), (pg_temp.hooli(), 3, 'jack@example.com', 'Jack', 2000), (pg_temp.hooli(), 4, 'wile@example.com', 'Twin', 3000);
INSERT INTO orders (tenant_id, order_id, customer_id, total) VALUES (pg_temp.hooli(), 1, 1, 1000), (pg_temp.hooli(), 7, 3, 3000);
INSERT INTO notes (tenant_id, note) VALUES (pg_temp.hooli(), 'hooli note 1'), (pg_temp.hooli(), 'hooli note 2');
INSERT INTO events (tenant_id, day, what) VALUES (pg_temp.hooli(), '2025-05-05', 'hooli signup'), (pg_temp.hooli(), '2026-05-05', 'login'),
	(pg_temp.hooli(), '2026-06-06', 'hooli other'), (pg_temp.hooli(), '2026-07-07', 'hooli other');
INSERT INTO assets (tenant_id, label) VALUES (pg_temp.hooli(), 'hooli desk'), (pg_temp.hooli(), 'hooli chair');
INSERT INTO vehicles (tenant_id, label, wheels) VALUES (pg_temp.hooli(), 'hooli van', 4), (pg_temp.hooli(), 'hooli bike', 2);
INSERT INTO messages (tenant_id, secret, body) VALUES (pg_temp.hooli(), false, 'hooli open'), (pg_temp.hooli(), true, 'hooli secret');
COMMIT;
