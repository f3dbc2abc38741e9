// SPDX-License-Identifier: Apache-2.0
local unused = 0
