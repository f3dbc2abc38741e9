// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Bytes of the process that are in memory (proc(5), statm); 0 when it is gone.
func residentBytes(of pid: pid_t) -> Int {
  let fields = text(ofFile: "/proc/\(pid)/statm").split(separator: " ")
  return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
}
