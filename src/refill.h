/*-------------------------------------------------------------------------
 *
 * refill.h
 *	  Keeping spares: renewing, replacing and making them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_REFILL_H
#define TENANCY_REFILL_H

extern void tenancy_refill_renew(void);

#endif							/* TENANCY_REFILL_H */
