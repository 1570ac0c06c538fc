/*-------------------------------------------------------------------------
 *
 * clone_body.h
 *	  Names of model schemas in the bodies of functions that are strings, and in
 *	  texts of other definitions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_BODY_H
#define TENANCY_CLONE_BODY_H

#include "common/kwlookup.h"
#include "nodes/nodes.h"

extern const ScanKeywordList tenancy_clone_no_keywords;

extern bool tenancy_clone_means_extension(const char *schema, const char *start);
extern bool tenancy_clone_string_names(const char *string, const char *schema);
extern bool tenancy_clone_statement_names(const char *sql, const char *schema);
extern bool tenancy_clone_expression_names(Node *expr, const char *schema);
extern char *tenancy_clone_rewrite_body(const char *body, Oid language, const char *from,
										const char *to, bool *left);
extern char *tenancy_clone_rewrite_statement(const char *sql, const char *from, const char *to);

#endif							/* TENANCY_CLONE_BODY_H */
