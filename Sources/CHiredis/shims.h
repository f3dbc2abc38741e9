// SPDX-License-Identifier: Apache-2.0
#ifndef ROOST_CHIREDIS_SHIMS_H
#define ROOST_CHIREDIS_SHIMS_H
#include <hiredis/hiredis.h>
#endif
