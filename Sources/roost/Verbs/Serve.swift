// SPDX-License-Identifier: Apache-2.0
internal import Config
internal import HTTPAPI
internal import HTTPServer
internal import Logging
internal import TaskHost

extension Verb {
  /// Runs the host until it is told to stop.
  static let serve = Verb(
    name: "serve", positionals: "", count: 0...0,
    summary: "Run the host with its workers until SIGTERM or SIGINT; logs to standard error",
    options: [.config], run: runServe)
}

private func runServe(_ arguments: Arguments) throws(CommandError) -> ExitCode {
  // Before any thread is there, so that all of them inherit it.
  TaskHost.prepareProcess()
  let path = ConfigFile.path(arguments)
  let checked = try check(path)
  let config = checked.config
  Log.configure(
    level: Log.Level.allCases.first { $0.name == config.log.level.rawValue } ?? .info,
    format: Log.Format(rawValue: config.log.format.rawValue) ?? .auto, source: config.name)
  do throws(HostError) {
    let host = try TaskHost(checked, path: path)
    let server = try listen(host)
    Log.info("listening on http://\(server.address)")
    return try host.run { server.stop(within: $0) } == .orderly ? .ok : .failed
  } catch {
    throw .failed(error.description)
  }
}

/// The config, with every plugin probed in a process of its own.
private func check(_ path: String) throws(CommandError) -> CheckedConfig {
  do throws(ConfigErrors) {
    return try ConfigFile.check(path)
  } catch {
    throw ConfigFile.failure(error)
  }
}

private func listen(_ host: TaskHost) throws(HostError) -> APIServer {
  let http = host.config.http
  do throws(HTTPServerError) {
    return try APIServer(
      listen: HTTPAddress(host: http.listen.host, port: UInt16(http.listen.port)), maxBody: http.maxBody,
      cors: http.cors, hosts: http.hosts, store: host.store, status: host.status,
      reload: { () async throws(ReloadRefusal) in try await host.reload() })
  } catch {
    throw .system(error.description)
  }
}
