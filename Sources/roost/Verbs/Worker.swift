// SPDX-License-Identifier: Apache-2.0
internal import Worker

extension Verb {
  /// A worker process, started by the host.
  static let worker = Verb(
    name: "worker", positionals: "", count: 0...Int.max, summary: "Run tasks for the host that started this process",
    options: [], isHidden: true, run: { _ throws(CommandError) in WorkerMain.run() })
}
