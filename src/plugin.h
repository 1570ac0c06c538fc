/*-------------------------------------------------------------------------
 *
 * plugin.h
 *	  Plug-ins.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_PLUGIN_H
#define TENANCY_PLUGIN_H

#include "registry.h"

extern void tenancy_plugin_refuse_strays(const TenancyTenant *tenant);

#endif							/* TENANCY_PLUGIN_H */
