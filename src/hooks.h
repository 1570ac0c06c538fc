/*-------------------------------------------------------------------------
 *
 * hooks.h
 *	  The hooks of the server that the extension takes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_HOOKS_H
#define TENANCY_HOOKS_H

extern void tenancy_hooks_init(void);

#endif							/* TENANCY_HOOKS_H */
