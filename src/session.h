/*-------------------------------------------------------------------------
 *
 * session.h
 *	  Which tenant each session acts for, known to the others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_SESSION_H
#define TENANCY_SESSION_H

#include "utils/uuid.h"

extern void tenancy_session_note(const pg_uuid_t *tenant);
extern void tenancy_session_require(void);
extern void tenancy_session_end(const pg_uuid_t *tenant);

/* For hooks.c, where the library is preloaded */
extern void tenancy_session_request_memory(void);
extern void tenancy_session_attach_memory(void);

extern void tenancy_session_init(void);

#endif							/* TENANCY_SESSION_H */
