// SPDX-License-Identifier: Apache-2.0
internal import CSystemShims
internal import FlightBoard
internal import Glibc
internal import Logging
internal import WorkerControl

/// A worker process: it loads its plugins, takes tasks of its types straight from Redis and runs them.
package enum WorkerMain {
  /// Where the host's log is: standard output and error are the plugins', and captured.
  private static let logDescriptor: Int32 = 5

  /// Runs the process to its end; the host has given it descriptors for messages, flights and the log.
  package static func run() -> Never {
    signal(SIGPIPE, SIG_IGN)
    // What plugins start must not hold them.
    for descriptor in [ControlChannel.workerDescriptor, FlightBoard.workerDescriptor, logDescriptor] {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
    let channel = ControlChannel(descriptor: ControlChannel.workerDescriptor)
    guard let assignment = try? channel.receive(WorkerAssignment.self, timeout: 10_000),
      let recorder = FlightRecorder(descriptor: FlightBoard.workerDescriptor, slots: assignment.slots),
      fcntl(logDescriptor, F_GETFD) >= 0
    else {
      Log.error("a worker is started by `roost serve`, not by hand")
      exit(2)
    }
    Log.configure(
      level: Log.Level.allCases.first { $0.name == assignment.logLevel } ?? .info,
      format: Log.Format(rawValue: assignment.logFormat) ?? .auto, source: assignment.label, descriptor: logDescriptor)
    roost_name_thread("control")
    Worker(assignment, channel, recorder).run()
  }
}
