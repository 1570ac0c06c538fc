--
-- What the application can plant where everybody looks for names, if it may
-- create objects there.
--
GRANT CREATE ON SCHEMA public TO app;
-- In schemas that are on everybody's path: operators and functions that fit
-- better than PostgreSQL's own, for the types that we compare
SET ROLE app;
CREATE FUNCTION public.trap_eq(text, name) RETURNS boolean LANGUAGE sql AS $$SELECT shop.trap('= of text and name')$$;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = name, FUNCTION = public.trap_eq);
CREATE FUNCTION public.trap_eq(name, text) RETURNS boolean LANGUAGE sql AS $$SELECT shop.trap('= of name and text')$$;
CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap_eq);
CREATE FUNCTION public.trap_eq(uuid, text) RETURNS boolean LANGUAGE sql AS $$SELECT shop.trap('= of uuid and text')$$;
CREATE OPERATOR public.= (LEFTARG = uuid, RIGHTARG = text, FUNCTION = public.trap_eq);
CREATE FUNCTION public.trap_eq(regrole, oid) RETURNS boolean LANGUAGE sql AS $$SELECT shop.trap('= of regrole and oid')$$;
CREATE OPERATOR public.= (LEFTARG = regrole, RIGHTARG = oid, FUNCTION = public.trap_eq);
CREATE FUNCTION public.trap_eq(regclass, oid) RETURNS boolean LANGUAGE sql AS $$SELECT shop.trap('= of regclass and oid')$$;
CREATE OPERATOR public.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = public.trap_eq);
CREATE FUNCTION public.trap_cat(name, text) RETURNS text LANGUAGE sql AS $$SELECT shop.trap('||')::text$$;
CREATE OPERATOR public.|| (LEFTARG = name, RIGHTARG = text, FUNCTION = public.trap_cat);
CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE sql AS $$SELECT shop.trap('quote_ident')::text$$;
CREATE FUNCTION public.format(text, name) RETURNS text LANGUAGE sql AS $$SELECT shop.trap('format')::text$$;
CREATE FUNCTION public.count(regclass) RETURNS bigint LANGUAGE sql AS $$SELECT shop.trap('count')::int::bigint$$;
RESET ROLE;
