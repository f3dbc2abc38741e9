// SPDX-License-Identifier: Apache-2.0
#ifndef ROOST_CMICROHTTPD_SHIMS_H
#define ROOST_CMICROHTTPD_SHIMS_H
#include <microhttpd.h>
#endif
