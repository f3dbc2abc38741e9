// SPDX-License-Identifier: Apache-2.0
package import HTTPServer
package import TaskHost
package import TaskStore

/// The HTTP API of a host; it serves from its making on, also while Redis is away.
package final class APIServer: Sendable {
  /// Where it listens, with the real port.
  package var address: HTTPAddress { server.address }
  private let server: HTTPServer
  private let waits: OpenWaits

  /// Binds, listens and serves.
  ///
  /// - Parameters:
  ///   - listen: where; port 0 takes a free one.
  ///   - maxBody: bytes of the largest body that is read.
  ///   - cors: origins whose pages may call the API.
  ///   - hosts: names beside loopback and `listen` that a `Host` header may say.
  ///   - store: where the tasks are; it must stay open until `stop` has returned.
  ///   - status: what `readyz` tells, and what the host runs.
  ///   - reload: applies a changed config.
  /// - Throws: `HTTPServerError` when the address cannot be had.
  package init(
    listen: HTTPAddress, maxBody: Int, cors: [String], hosts: [String], store: TaskStore, status: HostStatus,
    reload: @escaping @Sendable () async throws(ReloadRefusal) -> ReloadReport
  ) throws(HTTPServerError) {
    let waits = OpenWaits()
    let access = AccessRule(listen: listen, hosts: hosts, cors: cors)
    let router = Router(access: access, endpoints: RouteTable.endpoints(store, status, waits, reload: reload))
    server = try HTTPServer(
      listen: listen, maxBody: maxBody, problem: { Problem($0).response },
      handler: { router.handle($0, $1) })
    self.waits = waits
  }

  /// Stops accepting, answers what waits with what is known, lets the rest be answered, and closes.
  package func stop(within limit: Duration) {
    waits.end()
    server.stop(within: limit)
  }
}
