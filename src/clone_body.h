/*-------------------------------------------------------------------------
 *
 * clone_body.h
 *	  Names of model schemas in the bodies of functions that are strings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_BODY_H
#define TENANCY_CLONE_BODY_H

extern char *tenancy_clone_rewrite_body(const char *body, Oid language, const char *from,
										const char *to, bool *left);
extern char *tenancy_clone_rewrite_statement(const char *sql, const char *from, const char *to);

#endif							/* TENANCY_CLONE_BODY_H */
