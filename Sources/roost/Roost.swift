// SPDX-License-Identifier: Apache-2.0
@main struct Roost { static func main() {} }
