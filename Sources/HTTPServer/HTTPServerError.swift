// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Why a server could not start; the description says where and what to do.
package enum HTTPServerError: Error, Sendable, Equatable, CustomStringConvertible {
  case unknownHost(HTTPAddress, reason: String)
  case addressInUse(HTTPAddress)
  case addressNotHere(HTTPAddress)
  case portForbidden(HTTPAddress)
  /// `call` is the system call that failed with `code`, an errno.
  case systemCall(HTTPAddress, call: String, code: Int32)
  /// libmicrohttpd gave no reason; with a socket that listens this is memory or descriptors.
  case libraryRefused(HTTPAddress)

  package var description: String {
    switch self {
    case .unknownHost(let address, let reason):
      "cannot listen on \(address): the host name is not known (\(reason)); use an address such as 127.0.0.1 or [::1]"
    case .addressInUse(let address):
      "cannot listen on \(address): the port is taken; end what listens there (`ss -ltnp 'sport = :\(address.port)'` "
        + "names it) or choose another port"
    case .addressNotHere(let address):
      "cannot listen on \(address): no interface of this machine has that address; use 127.0.0.1, 0.0.0.0 or one that "
        + "`ip addr` shows"
    case .portForbidden(let address):
      "cannot listen on \(address): this user may not use that port; choose one from 1024 on"
    case .systemCall(let address, let call, let code):
      "cannot listen on \(address): \(call): \(String(cString: strerror(code)))"
        + ([EMFILE, ENFILE].contains(code) ? "; raise the limit of open files (`ulimit -n`)" : "; try again")
    case .libraryRefused(let address):
      "cannot listen on \(address): libmicrohttpd did not start; raise the limit of open files (`ulimit -n`) or free "
        + "memory"
    }
  }
}
