// SPDX-License-Identifier: Apache-2.0
#ifndef ROOST_CGNUTLS_SHIMS_H
#define ROOST_CGNUTLS_SHIMS_H
#include <gnutls/gnutls.h>
#include <gnutls/crypto.h>
#endif
